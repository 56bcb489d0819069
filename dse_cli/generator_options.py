"""Options that describe a generator, shared by `dse generator` and `dse export generator`."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click

from dse.errors import InvalidDesign
from dse.ternary.generators import FAMILIES, Generator, Signs

F = TypeVar("F", bound=Callable[..., Any])


def generator_options(*, family_required: bool = True) -> Callable[[F], F]:
    """Options for the family and its parameters; `read_generator` takes them.

    None of the parameters has a default here: a family has those of its own, and one that was not
    typed must be told from one that was, as a parameter of another family is an error.

    Args:
        family_required: the family has a default; otherwise it may be left out.
    """
    options = [
        click.option(
            "--family",
            type=click.Choice(list(FAMILIES)),
            default=Generator().family if family_required else None,
            show_default=family_required,
            help="How a start state becomes trits.",
        ),
        click.option("--taps", help="Of a shift register, such as 521,353. [default: 127,97]"),
        click.option("--threshold-bits", type=int, help="k of densities n/2^k. [default: 8]"),
        click.option("--rounds", type=int, help="Of the mixing function. [default: 6]"),
        click.option(
            "--shift", type=int, help="Bits from entry to entry. [default: those of an entry]"
        ),
        click.option(
            "--signs",
            type=click.Choice(get_args(Signs)),
            help="Of one_hot: balanced rows have as many +1 as -1. [default: random]",
        ),
        click.option(
            "--override", is_flag=True, help="Accept parameters that are known to be bad."
        ),
    ]

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def read_generator(
    family: str,
    taps: str | None,
    threshold_bits: int | None,
    rounds: int | None,
    shift: int | None,
    signs: Signs | None,
    override: bool,
) -> Generator:
    """The generator of the options.

    Raises:
        InvalidInput: a parameter is wrong, of another family, or known to be bad.
    """
    given: dict[str, Any] = {
        "threshold_bits": threshold_bits,
        "rounds": rounds,
        "shift": shift,
        "signs": signs,
        "override": override or None,
        "taps": None if taps is None else read_taps(taps),
    }
    return Generator(
        family=family,
        **{name: value for name, value in given.items() if value is not None},
    )


def read_taps(text: str) -> tuple[int, ...]:
    """`127,97` as numbers, in their order: delays in bits, the largest first, that are XORed.

    Raises:
        InvalidDesign: it is something else; what makes good taps is `Generator`'s.
    """
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise InvalidDesign(
            f"--taps must be whole numbers separated by commas, such as 127,97, not {text!r}"
        ) from None
