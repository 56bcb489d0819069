"""Areas of generators, trees and processing elements in cell libraries: data of the area fit.

    python benchmarks/generator_area.py benchmarks/generator_area.csv \
        --library small_130nm --library sky130=sky130hd_tt.lib.gz --library asap7=a.lib,b.lib

synthesises what the file lacks (a few seconds each, about 160 designs a library).
`benchmarks/fit_generator.py` fits the constants of `cost_models.generator` to it. Libraries of
foundries are not in this repository.

    python benchmarks/generator_area.py benchmarks/generator_area_held_out.csv --held-out 60 \
        --library ...

synthesises designs that are drawn at random from the whole range that the model is for; the fit
does not see them.
"""

import argparse
import csv
import dataclasses
import itertools
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from dse.rtl.area import synthesise
from dse.rtl.designs import GeneratorBlock, module_text
from dse.rtl.yosys import Circuit
from dse.ternary.generators import FAMILIES, Generator, find_family, has
from dse.ternary.generators.counter_arx import entries_per_word

COLUMNS = (
    "library",
    "block",
    "state_bits",
    "decision_bits",
    "rounds",
    "feedback_taps",
    "lanes",
    "cells",
    "flip_flops",
    "area_um2",
    "nand2_um2",
)
PENTANOMIAL = (64, 63, 61, 60)
TAPS = ((89, 51), (127, 97), (521, 353))
TREES = (8, 10, 11, 16, 24, 28, 32, 35, 40, 43, 47, 53, 55, 56, 59, 64)
"""Lanes."""


def designs() -> Iterator[tuple[str, GeneratorBlock]]:
    """Generators of all families over lanes, decision bits and states."""
    for lanes in (8, 16, 32, 64):
        for taps in (PENTANOMIAL, *TAPS):
            if taps == (89, 51) and lanes not in (16, 64):
                continue
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
        for bits, rounds in ((4, 6), (7, 6), (7, 8), (8, 6), (16, 6)):
            if lanes > 16 and (bits, rounds) != (7, 6):
                continue  # ABC takes a minute and more each
            generator = Generator(family="counter_arx", threshold_bits=bits, rounds=rounds)
            yield "counter_arx", _block(generator, 0.25, lanes)


def _block(generator: Generator, density: float, lanes: int) -> GeneratorBlock:
    return GeneratorBlock(generator=generator, density=density, lanes=lanes)


def drawn(count: int, seed: int = 4) -> Iterator[tuple[str, GeneratorBlock]]:
    """Generators at random: 8 to 64 lanes, 4 to 16 threshold bits, 64 to 521 bits of state."""
    dice = random.Random(seed)
    for family in itertools.islice(itertools.cycle(FAMILIES), count):
        lanes, taps = dice.randint(8, 64), dice.choice((PENTANOMIAL, *TAPS))
        k, bits, rounds = dice.randint(4, 16), dice.randint(1, 5), dice.choice((6, 7, 8, 10))
        if family == "counter_arx":
            per_word = entries_per_word(k)
            lanes = max(8, lanes // 2 // per_word * per_word)  # ABC takes minutes for more
            generator = Generator(family=family, threshold_bits=k, rounds=rounds)
        elif family == "sobol":
            lanes = dice.choice([n for n in (8, 16, 32, 64) if n >= 2**bits])
            generator = Generator(family=family, rounds=rounds)
        else:
            override = taps == PENTANOMIAL
            generator = Generator(family=family, taps=taps, override=override)
            if family == "lfsr_threshold":
                generator = dataclasses.replace(generator, threshold_bits=k)
            if family == "one_hot":
                lanes = max(lanes >> bits, 1) << bits
        exact = family not in ("lfsr_threshold", "counter_arx")
        yield family, _block(generator, 2.0**-bits if exact else 0.25, lanes)


Wanted = Iterator[tuple[tuple[str, ...], Circuit]]
"""Columns after `library` up to `lanes`, and what to synthesise."""


def find_rows(found: Iterator[tuple[str, GeneratorBlock]]) -> Wanted:
    """Generators."""
    for family, block in found:
        generator = block.generator
        register = has(generator.family, "taps")
        numbers = (
            find_family(generator).state_bits(generator),
            block.decision_bits,
            0 if register else generator.rounds,
            len(generator.taps) if register else 0,
            block.lanes,
        )
        yield (family, *map(str, numbers)), block.circuit()


def datapaths(lanes: Iterable[int], sum_bits: Iterable[int]) -> Wanted:
    """Trees of so many lanes, processing elements of so many bits."""
    for count in lanes:
        yield (
            ("ternary_tree", "0", "8", "0", "0", str(count)),
            _datapath("ternary_tree", LANES=count),
        )
    for bits in sum_bits:
        yield ("ternary_pe", str(bits), "8", "0", "0", "1"), _datapath("ternary_pe", SUM_BITS=bits)


def _datapath(name: str, **parameters: int) -> Circuit:
    return Circuit(top=name, parameters=parameters, sources=(module_text(name),))


def rows_wanted(held_out: int = 0) -> Wanted:
    """Designs of the fit; or, where a number is given, as many generators that it does not see."""
    if not held_out:
        yield from find_rows(designs())
        yield from datapaths(TREES, (16, 20, 24, 32))
        return
    dice = random.Random(5)
    others = sorted(set(range(8, 65)) - set(TREES))
    yield from datapaths(dice.sample(others, held_out // 6), (18, 22, 27, 30))
    fitted = {key for key, _ in find_rows(designs())}
    yield from (row for row in find_rows(drawn(held_out)) if row[0] not in fitted)


def measure(out: Path, libraries: list[str], held_out: int = 0) -> None:
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
        for key, block in rows_wanted(held_out):
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
    parser.add_argument("--held-out", type=int, default=0, metavar="COUNT", help="random designs")
    arguments = parser.parse_args()
    measure(arguments.file, arguments.library, arguments.held_out)


if __name__ == "__main__":
    main()
