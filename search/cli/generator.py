"""`dse generator`: how good a generator's matrices are, and what its circuit takes."""

import click


@click.group(name="generator")
def command() -> None:
    """Measure generators of ternary matrices: statistics and area."""
