"""The one way out to a terminal: what steers it is shown as `?`, wherever it came from.

Names of designs are looked at where files are read. What a person types is not: a path or a name
with an escape sequence, pasted from somewhere, comes back in messages, and would colour the
terminal, name its window, or overwrite the line above. So all commands print by `say` or on a
`Screen`, and errors leave by `dse_cli.main`, which asks `dse.errors.printable`, too.
"""

import io
from collections.abc import Iterator
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from dse.errors import printable


def say(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text on stdout, or on stderr.

    Args:
        text: it.
        err: on stderr.
        nl: end it with a line break.
    """
    click.echo(printable(str(text)), err=err, nl=nl)


class Screen(Console):
    """A console of rich whose texts steer nothing; its own colours and bars do."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Rich's segments; those of a text, not of rich's control, are made printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else _harmless(segment)


def _harmless(segment: Segment) -> Segment:
    text = printable(segment.text)
    return segment if text == segment.text else Segment(text, segment.style)


def shown_error(error: click.ClickException) -> str:
    """What click says of a mistake on the command line: usage, and a sentence."""
    said: Any = io.StringIO()
    error.show(file=said)
    return printable(said.getvalue())
