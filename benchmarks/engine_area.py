"""Areas of engines that `dse export engine` writes: synthesised, beside the model's sum of parts.

    python -m benchmarks.engine_area benchmarks/engine_area.csv \
        --library sky130=sky130hd_tt.lib.gz --library asap7=simple.lib.gz,...

An engine is a generator, a tree and an accumulator for each of its frames, and counters. Yosys'
default flow; the file has what it found, the table what the technology makes of the same parts.
`tests/cost_models/test_overhead.py` prints and holds the table.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from dse.rtl.area import synthesise
from dse.rtl.designs import GeneratorBlock
from dse.rtl.export import EngineExport, GeneratorExport
from dse.ternary.generators import Generator
from dse.ternary.matrix import start_state

COLUMNS = ("library", "family", "lanes", "frames", "cells", "flip_flops", "area_um2")
CHUNKS, ROWS, FRAMES = 4, 64, 2
ENGINES: tuple[tuple[Generator, float, int], ...] = (
    (Generator(), 0.25, 16),
    (Generator(), 0.25, 32),
    (Generator(family="lfsr_and"), 0.25, 16),
    (Generator(family="one_hot"), 0.25, 16),
    (Generator(family="sobol"), 0.25, 16),
    (Generator(family="counter_arx"), 0.25, 8),
)
"""Generator, density, lanes."""


def engine(generator: Generator, density: float, lanes: int) -> EngineExport:
    """An engine for a layer of 64 outputs, four pieces of inputs each."""
    made = GeneratorExport(
        block=GeneratorBlock(generator=generator, density=density, lanes=lanes),
        state=start_state(1, "layer", generator),
        rows=ROWS,
        columns=CHUNKS * lanes,
        title="an engine to measure",
    )
    activations = np.zeros((CHUNKS * lanes, FRAMES), dtype=np.int8)
    return EngineExport(generator=made, activations=activations, frames=FRAMES)


def main() -> None:
    """Synthesise all engines in the libraries that are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--library", action="append", required=True, help="NAME=FILE,FILE")
    arguments = parser.parse_args()
    with arguments.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for given in arguments.library:
            name, files = given.split("=")
            paths = tuple(map(Path, files.split(",")))
            for generator, density, lanes in ENGINES:
                found = synthesise(engine(generator, density, lanes).circuit(), paths)
                row = (name, generator.family, lanes, FRAMES, found.cells, found.flip_flops)
                writer.writerow((*row, f"{found.area_um2:.6g}"))
                file.flush()


if __name__ == "__main__":
    main()
