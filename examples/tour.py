"""A tour: from data to a frontier to a report to hardware, in a minute on two cores.

    python examples/tour.py                # into the folder `tour`
    python examples/tour.py FOLDER         # into another one

Every step is a command of `dse`, printed before it runs, so that each can be tried by hand. What
leaves at the end is what the study trained: its best design with ternary matrices. The study is
much too small to decide anything: a few words, four trainings of two epochs.
"""

import shlex
import sys
from pathlib import Path

from dse.studies.rows import read_rows
from dse_cli import main as command_line

WORDS = "yes,no,stop"

STUDY = """\
name: tour
data:
  folder: speech
  task: {kind: words, words: [yes, no, stop], unknown: false, silence: false}
space:                              # of MatchboxNets; what is not named keeps its usual value
  blocks: 1
  channels: [16, 32]
  policy: [P0, P1, P2]              # which 1x1 matrices are constant ternary
  prologue_channels: 16
  prologue_stride: 2
  epilogue_channels: 16
  final_channels: 16
machine: kws_ternary
objectives: [error, energy_pj]
limits: {max_trained_parameters: 10000}
recipe: {epochs: 2, batch_size: 16}
sampler: random
trainings: 4
seed: 1
"""

DESIGN = "matchboxnet-3x1x64-P2"
"""A published network with ternary matrices, to begin with."""


def find(folder: Path) -> list[list[str | Path]]:
    """The commands from data to a report, in order."""
    study = folder / "studies" / "tour"
    return [
        # Speech that nobody had to record.
        [
            "data",
            "synthesize",
            folder / "speech",
            "--words",
            WORDS,
            "--clips-per-word",
            "24",
            "--speakers",
            "12",
        ],
        # What does a design cost, before any training?
        ["estimate", DESIGN, "--compare", "P0"],
        # Search: price many, train few.
        ["search", folder / "tour.yaml", "--data", folder / "speech", "--out", study],
        ["frontier", study],
        ["report", study, "--format", "html,md", "--out", folder / "report"],
    ]


def chosen(study: Path) -> Path:
    """The folder of the trained design with ternary matrices that makes the fewest errors."""
    ternary = [row for row in read_rows(study) if row.full and row.column("generated_weights")]
    best = min(ternary, key=lambda row: (row.column("error"), row.column("energy_pj")))
    return study / "designs" / best.key


def build(folder: Path, design: Path) -> list[list[str | Path]]:
    """The commands from a design to hardware: circuits, firmware, files for other tools."""
    return [
        [
            "export",
            "generator",
            design / "design.yaml",
            "--layer",
            "B1.0.pw",
            "--out",
            folder / "rtl",
        ],
        [
            "export",
            "header",
            design / "best.pt",
            "--data",
            folder / "speech",
            "--out",
            folder / "firmware",
        ],
        [
            "export",
            "zigzag",
            design / "design.yaml",
            "--machine",
            "kws_int8",
            "--out",
            folder / "zigzag",
        ],
    ]


def dse(*arguments: str | Path) -> None:
    """Run one command, after printing it."""
    words = [str(each) for each in arguments]
    print(f"\n$ dse {shlex.join(words)}", flush=True)
    try:
        command_line(words)
    except SystemExit as stop:
        if stop.code:
            raise  # it has said why


def main() -> None:
    """Run all steps."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tour").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tour.yaml").write_text(STUDY, encoding="utf-8")
    for arguments in find(folder):
        dse(*arguments)
    for arguments in build(folder, chosen(folder / "studies" / "tour")):
        dse(*arguments)
    print(f"\nReport: {folder / 'report'}; circuits: {folder / 'rtl'}; C: {folder / 'firmware'}")


if __name__ == "__main__":
    main()
