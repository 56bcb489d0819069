"""Counts of every mixing layer, for square matrices of some widths, as tables of Markdown.

    python -m benchmarks.mixers

docs/concepts/mixers.md has what it prints. Counted on the layers that a machine executes, as
everything that is priced; sizes (groups, rank, ...) are the defaults of the design space.
"""

import argparse

from dse.design.families.mixing import PLACE_KINDS, build_mixer
from dse.design.mixer import MixerKind
from dse.design.places import Place
from dse.networks.mixers import MIXERS

WIDTHS = (64, 128, 256, 512)
HEADER = """\
| kind | trained parameters | stored bits | MACs | additions | generated |
|---|---|---|---|---|---|"""


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=list(WIDTHS))
    print(tables(parser.parse_args().widths))


def tables(widths: list[int]) -> str:
    """One table a width, a row a kind.

    Args:
        widths: input and output channels.
    """
    parts = []
    for width in widths:
        rows = [f"| `{kind}` | {' | '.join(map(_text, count(kind, width)))} |" for kind in KINDS]
        parts.append("\n".join([f"**{width} channels**", "", HEADER, *rows]))
    return "\n\n".join(parts)


KINDS: tuple[MixerKind, ...] = (*PLACE_KINDS, "identity")


def count(kind: MixerKind, width: int) -> tuple[int, int, int, int, int]:
    """Trained parameters, stored bits; MACs, additions and generated entries of one frame.

    Args:
        kind: of the mixing layer, in sizes that are the axes' defaults.
        width: input and output channels.
    """
    place = Place(
        name="B2.0.pw",
        in_channels=width,
        out_channels=width,
        mixer=build_mixer({}, kind),
        ternary_seed=1,
    )
    layers = MIXERS[kind].lower(place, 1, 1, "input")
    return (
        sum(layer.trained_parameters for layer in layers),
        sum(layer.stored_bits for layer in layers),
        sum(layer.macs for layer in layers),
        sum(layer.additions for layer in layers),
        sum(layer.generated_weights for layer in layers),
    )


def _text(number: int) -> str:
    return f"{number:,}"


if __name__ == "__main__":
    main()
