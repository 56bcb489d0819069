"""Whole networks as exported chips in Verilator: scores, cycles and words beside the model's.

    python benchmarks/chip.py                    all designs, 20 clips each
    python benchmarks/chip.py --clips 1 P3       those whose name has P3 in it, one clip each
    python benchmarks/chip.py --data speech --checkpoint best.pt --machine kws_ternary

Untrained networks run clips of noise: what a circuit does in each cycle does not depend on what the
clips say, and its scores must equal the integer network's either way. With a checkpoint, clips are
those of its data.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from cost_models import load_accelerator, load_technology
from dse.chip.comparison import compare_layers, comparison_table, total
from dse.chip.export import ChipExport
from dse.chip.simulation import simulate
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.point import DesignPoint
from dse.design.published import published
from dse.files import write_text
from dse.networks.lowering import lower
from dse.training.integer import quantise_network
from dse.training.source import Source, calibration_pictures, trained, untrained

CLASSES = 12
SMALL: dict[str, Any] = {
    "blocks": 2,
    "channels": 16,
    "prologue_channels": 16,
    "epilogue_channels": 16,
    "final_channels": 16,
    "policy": "P2",
}
"""What fits the memories of `kws_tiny`."""

RUNS = (
    ("matchboxnet-3x1x64", "kws_int8", 128),
    ("matchboxnet-3x2x64", "kws_int8", 128),
    ("matchboxnet-3x1x64-P3", "kws_ternary_stored", 128),
    ("matchboxnet-3x1x64-P3", "kws_ternary", 128),
    ("matchboxnet-3x1x64-P4", "kws_ternary", 128),
    ("small-P2", "kws_tiny", 64),
)
"""Design, machine, frames."""


def point_of(name: str) -> DesignPoint:
    """The design of a run."""
    if name == "small-P2":
        return MATCHBOXNET.build(SMALL, in_channels=64, name=name)
    return published(name)


def run(source: Source, machine: str, frames: int, clips: int, data: Path | None) -> str:
    """Export, simulate, compare: the lines of the report."""
    accelerator = load_accelerator(machine)
    pictures = calibration_pictures(source, data)[:, :, :frames]
    network = quantise_network(source, pictures)
    export = ChipExport(
        network=network,
        workload=lower(source.point, frames=pictures.shape[2], outputs=source.outputs),
        machine=accelerator,
        technology=load_technology(accelerator.technology),
        features=network.quantise(pictures[:clips].numpy()),
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in export.files().items():
            write_text(Path(folder) / name, text)
        began = time.monotonic()
        simulated = simulate(Path(folder), "verilator")
    layers = compare_layers(export.program, simulated)
    whole = total(layers)
    return (
        f"## {source.point.label} on {machine}\n\n"
        f"{simulated.verdict}; {time.monotonic() - began:.0f} s; "
        f"{whole.cycles / whole.model_cycles - 1:+.2%} against the model\n\n"
        f"{comparison_table(layers)}"
    )


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="?", default="", help="part of a design's or machine's name")
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--machine", default="kws_ternary")
    parser.add_argument("--data", type=Path)
    asked = parser.parse_args()
    if asked.checkpoint is not None:
        source = trained(asked.checkpoint)
        print(run(source, asked.machine, 10_000, asked.clips, asked.data), flush=True)
        return
    for design, machine, frames in RUNS:
        if asked.name in f"{design} {machine}":
            source = untrained(point_of(design), CLASSES)
            print(run(source, machine, frames, asked.clips, None), flush=True)


if __name__ == "__main__":
    main()
