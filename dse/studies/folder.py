"""What lies in a study's folder, and under which names.

    study.yaml       as the person gave it
    resolved.yaml    with every default spelled out, and the box of its hypervolume
    experience.json  what the known-cost sampler began with (`search.experience`)
    study.db         Optuna's storage
    results.jsonl    one row per evaluated design (`dse.studies.rows`)
    designs/KEY/     of each trained design: design.yaml, history.csv, best.pt, last.pt and
                     evaluation.json
    frontier.csv, frontier.png
    notes.jsonl      notes and tags that people keep on designs (`dse.studies.notes`)
    confirmed.csv    what fresh seeds said of the frontier (`dse.studies.confirmed`)

A design's folder is named by its key, a hash of the network: whoever has a row finds its files, and
the same network is not trained into two places.
"""

from contextlib import suppress
from pathlib import Path

from dse.errors import InvalidStudy
from dse.files import inside

RESOLVED = "resolved.yaml"
GIVEN = "study.yaml"
DESIGNS = "designs"
DESIGN = "design.yaml"
CHECKPOINT = "best.pt"
EXPERIENCE = "experience.json"
CONFIRMED = "confirmed.csv"


REPRICED = ".repriced"
"""Folder of a study's record and rows with new prices, on their way to take the places of the old.

It appears whole, and from then on counts: whoever opens the study moves what is left in it
(`settle`). So a kill in the middle of it leaves no costs of one machine under the name of another.
"""


def settle(folder: Path) -> None:
    """End what a kill may have left of pricing a study again. Repeating it does no harm.

    Raises:
        OSError: the folder may not be written to.
    """
    if not (folder / REPRICED).exists():
        return
    for path in sorted(inside(folder, REPRICED).iterdir()):
        with suppress(FileNotFoundError):  # another reader was faster
            inside(folder, REPRICED, path.name).replace(folder / path.name)
    with suppress(FileNotFoundError):
        (folder / REPRICED).rmdir()


def design_folder(study: Path, key: str) -> Path:
    """Folder of a trained design of the study in a folder.

    Raises:
        InvalidStudy: the key is no word of letters and digits, and could lead out of the folder.
        InvalidInput: a link there leads out of it.
    """
    if not key or not key.isascii() or not key.isalnum():
        raise InvalidStudy(f"{key!r} is no key of a design: keys are letters and digits")
    return inside(study, DESIGNS, key)
