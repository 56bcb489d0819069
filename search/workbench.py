"""A search in a notebook: `run_study` by a file, or by what such a file says."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from cost_models.strict_yaml import dump_yaml, parse_yaml
from dse.studies.reading import study_from_node
from dse.studies.spec import StudySpec
from dse.studies.study import Study, open_study, read_folder


def run_study(
    study: str | os.PathLike[str] | Mapping[str, Any],
    folder: str | os.PathLike[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    trainings: int | None = None,
    workers: int = 1,
    bars: bool = True,
) -> Study:
    """Search a design space, or go on with a search that was stopped.

    Rows are those of `dse search` with as many workers, to the last bit. An interruption loses at
    most the epoch in training; the same call goes on.

    Args:
        study: a study file, the folder of a study, or what a study file says, as a mapping.
        folder: of the study; `studies/NAME` where it is None.
        data: folder of speech, in place of the study's.
        trainings: in place of the study's.
        workers: designs that are trained at a time; more than 1 are processes, which a program of
            its own must guard by `if __name__ == "__main__"`.
        bars: whether to say what happens; in notebooks and terminals with bars.

    Returns:
        The study: `dse.frontier(study)`, `dse.make_report(study, "report.html")`.

    Raises:
        InvalidInput: something in the study cannot be used; or the folder holds another one.
        OSError: the disk is full or the folder may not be written to; the study can be resumed.
    """
    from search.progress import TerminalProgress
    from search.study import run_study as search

    spec, given = _read(study, Path(data) if data is not None else None, trainings)
    asked = Path(study) if isinstance(study, str | os.PathLike) else None
    if folder is None and asked is not None and asked.is_dir():
        folder = asked
    place = Path(folder) if folder is not None else Path("studies") / spec.name
    console = Console(quiet=not bars, highlight=False, soft_wrap=True)
    with TerminalProgress(console, spec.measured) as progress:
        search(spec, given, place, progress, workers=workers)
    return open_study(place)


def _read(
    study: str | os.PathLike[str] | Mapping[str, Any], data: Path | None, trainings: int | None
) -> tuple[StudySpec, str]:
    """What is searched, and the text that is kept of it; a mapping is seen from where one is."""
    if not isinstance(study, Mapping):
        return read_folder(Path(study), data=data, trainings=trainings)
    text = dump_yaml(dict(study))
    node = parse_yaml(text, "study")
    return study_from_node(node, Path.cwd(), data_folder=data, trainings=trainings), text
