"""Areas of generators, trees and processing elements in cell libraries: data of the area fit.

    python benchmarks/generator_area.py benchmarks/generator_area.csv \
        --library small_130nm --library sky130=sky130hd_tt.lib.gz --library asap7=a.lib,b.lib

synthesises what the file lacks (a few seconds each, about 140 designs a library).
`benchmarks/fit_generator_area.py` fits the constants of `cost_models.generator` to it. Libraries
of foundries are not in this repository.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from dse.generators import Generator, family_of
from dse.generators.choice import LFSR_FAMILIES
from dse.rtl.area import synthesise
from dse.rtl.designs import GeneratorBlock, module_text
from dse.rtl.yosys import Block

COLUMNS = ("library", "block", "state_bits", "decision_bits", "rounds", "feedback_taps", "lanes",
           "cells", "flip_flops", "area_um2", "nand2_um2")  # fmt: skip
PENTANOMIAL = (64, 63, 61, 60)


def designs() -> Iterator[tuple[str, GeneratorBlock]]:
    """Generators of all families over lanes, decision bits and states."""
    for lanes in (8, 16, 32, 64):
        for taps in (PENTANOMIAL, (127, 97), (521, 353)):
            override = taps == PENTANOMIAL
            for bits in (4, 8, 16):
                generator = Generator(taps=taps, threshold_bits=bits, override=override)
                yield "lfsr_threshold", _block(generator, 0.25, lanes)
            for bits in (1, 3, 5):
                generator = Generator(family="lfsr_and", taps=taps, override=override)
                yield "lfsr_and", _block(generator, 2.0**-bits, lanes)
            for bits in (1, 2, 3):
                generator = Generator(family="one_hot", taps=taps, override=override)
                yield "one_hot", _block(generator, 2.0**-bits, lanes)
        for bits in (1, 2, 3):
            for rounds in (6, 8) if bits == 2 else (6,):
                generator = Generator(family="sobol", rounds=rounds)
                yield "sobol", _block(generator, 2.0**-bits, lanes)
        if lanes <= 16:  # ABC takes minutes for more
            for bits, rounds in ((4, 6), (7, 6), (7, 8), (8, 6)):
                generator = Generator(family="counter_arx", threshold_bits=bits, rounds=rounds)
                yield "counter_arx", _block(generator, 0.25, lanes)


def _block(generator: Generator, density: float, lanes: int) -> GeneratorBlock:
    return GeneratorBlock(generator=generator, density=density, lanes=lanes)


def rows_wanted() -> Iterator[tuple[tuple[str, ...], Block]]:
    """Columns after `library` up to `lanes`, and what to synthesise."""
    for family, block in designs():
        generator = block.generator
        register = generator.family in LFSR_FAMILIES
        numbers = (
            family_of(generator).state_bits(generator),
            block.decision_bits,
            0 if register or family == "lfsr_threshold" else generator.rounds,
            len(generator.taps) if register else 0,
            block.lanes,
        )
        yield (family, *map(str, numbers)), block.block()
    for lanes in (8, 16, 32, 64):
        yield (
            ("ternary_tree", "0", "8", "0", "0", str(lanes)),
            Block(
                top="ternary_tree",
                parameters={"LANES": lanes},
                sources=(module_text("ternary_tree"),),
            ),
        )
    for bits in (16, 20, 24, 32):
        yield (
            ("ternary_pe", str(bits), "8", "0", "0", "1"),
            Block(
                top="ternary_pe",
                parameters={"SUM_BITS": bits},
                sources=(module_text("ternary_pe"),),
            ),
        )


def measure(out: Path, libraries: list[str]) -> None:
    """Append the rows that the file lacks."""
    done = set()
    if out.exists():
        with out.open(newline="") as file:
            done = {tuple(row[name] for name in COLUMNS[:7]) for row in csv.DictReader(file)}
    else:
        out.write_text(",".join(COLUMNS) + "\n")
    for library in libraries:
        name, _, paths = library.partition("=")
        files = tuple(Path(path) for path in paths.split(",") if path)
        for key, block in rows_wanted():
            if (name, *key) in done:
                continue
            area = synthesise(block, files)
            row = (name, *key, area.cells, area.flip_flops, f"{area.area_um2:.4f}", area.nand2_um2)
            with out.open("a") as file:
                file.write(",".join(map(str, row)) + "\n")
            print(*row, flush=True)


def main() -> None:
    """Measure, or fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--library", action="append", default=[], help="NAME or NAME=FILE,FILE")
    arguments = parser.parse_args()
    measure(arguments.file, arguments.library)


if __name__ == "__main__":
    main()
