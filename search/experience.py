"""Experience on the disk: the prior that comes with the program, and what a study began with.

    search/prior.json               tables of trainings; `python benchmarks/prior.py` makes it
    STUDY/experience.json           those, and the rows of the studies named in `warm_start`

With `prior: shape` a study has no tables in its file, but how much alike errors of like networks
are: `hyper`, which is fitted to the tables that come with the program. Both files are of one form.
The second is written when a study begins, and read whenever it goes on: what is proposed must not
depend on what has become of earlier studies since. It is made again where `prior` or `warm_start`
are changed.

    {"schema_version": 1, "feature_set": "networks-1", "of": ["shipped", "/studies/first"],
     "hyper": {"variance": ..., "lengths": [...], "own_share": ..., "noise": ...},
     "tasks": [{"name": "first", "features": [[...], ...], "errors": [...]}, ...]}
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dse.errors import InvalidFile, InvalidInput, printable, short
from dse.files import write_text
from dse.pricing.sweep import Sweep
from dse.studies.folder import EXPERIENCE
from dse.studies.rows import Evaluation
from dse.studies.spec import PRIORS, StudySpec
from dse.studies.study import Study
from search.common import FEATURE_SET, NAMES, Describer
from search.improvement import Floats
from search.transfer import Experience, Hyper, Task

SCHEMA_VERSION = 1
SHIPPED = Path(__file__).parent / "prior.json"

MOST_ROWS = 300
"""Of a task; of more, evenly spaced ones are taken: the next hundred tell little that is new."""
MOST_TASKS = 12
"""Of all tasks, the last ones named: the matrix of 3,600 rows is factorised in a second."""

MOST_FEATURE = 100.0
"""Of a feature's magnitude: a network of 2^100 additions is a slip of a disk."""


def check_prior(spec: StudySpec, folder: Path | None = None) -> None:
    """Refuse a prior that a study cannot begin with, before anything of the study is written.

    Args:
        spec: of the study.
        folder: of the study; one that has begun has what it needs in there.

    Raises:
        InvalidFile: the prior is damaged, or of another feature set.
    """
    given = spec.prior not in PRIORS and spec.sampler == "known_cost"
    if given and (folder is None or not (folder / EXPERIENCE).exists()):
        read_prior(Path(spec.prior))


def prepare(spec: StudySpec, folder: Path, earlier: Sequence[Study]) -> list[str]:
    """Write what a study begins with, unless it stands there already.

    Args:
        spec: of the study.
        folder: of the study.
        earlier: the studies of its `warm_start` that can be read.

    Returns:
        A sentence for each earlier study that tells nothing, or not all.

    Raises:
        InvalidFile: the prior is damaged, or of another feature set.
    """
    path = folder / EXPERIENCE
    if spec.sampler != "known_cost" or (spec.prior == "none" and not spec.warm_start):
        path.unlink(missing_ok=True)
        return []
    of = [spec.prior, *map(str, spec.warm_start)]
    if path.exists() and _read(path)[1] == of:
        return []
    shipped, _ = _read(SHIPPED)
    tasks: list[Task] = []
    if spec.prior not in ("none", "shape"):
        given = SHIPPED if spec.prior == "shipped" else Path(spec.prior)
        tasks += _read(given)[0].tasks
    cautions = []
    for study in earlier:
        task, left_out = read_task(study)
        tasks += [task] if len(task.errors) else []
        cautions += [f"{study.folder}: {left_out}"] if left_out else []
    write_text(path, experience_text(Experience(tuple(tasks[-MOST_TASKS:]), shipped.hyper), of))
    return cautions


def read_experience(folder: Path) -> Experience | None:
    """What the study in a folder began with; None where that is nothing.

    Raises:
        InvalidFile: the file is damaged, or of another feature set.
    """
    path = folder / EXPERIENCE
    return _read(path)[0] if path.exists() else None


def read_prior(path: Path) -> Experience:
    """A prior from its file.

    Raises:
        InvalidFile: it is damaged, or of another feature set.
    """
    return _read(path)[0]


def experience_text(experience: Experience, of: Sequence[str]) -> str:
    """The text of a file of this form; `read_prior` is its inverse, but for rounding.

    Args:
        experience: to be written.
        of: what it was made of.
    """
    hyper = experience.hyper
    plain = {
        "schema_version": SCHEMA_VERSION,
        "feature_set": FEATURE_SET,
        "features": list(NAMES),
        "of": list(of),
        "hyper": {
            "variance": hyper.variance,
            "lengths": list(hyper.lengths),
            "own_share": hyper.own_share,
            "noise": hyper.noise,
        },
        "tasks": [
            {
                "name": task.name,
                "errors": [round(float(error), 5) for error in task.errors],
                "features": [[round(float(x), 4) for x in row] for row in task.features],
            }
            for task in experience.tasks
        ],
    }
    return json.dumps(plain, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n"


def read_task(study: Study) -> tuple[Task, str]:
    """The full trainings of an earlier study, and in words what of it is left out.

    Args:
        study: another one than that which learns from it.
    """
    asked = study.asked
    rows = {row.key: row for row in study.rows if row.full or row.over_in_error}
    told = [row for row in rows.values() if not math.isnan(row.column(asked.measured))]
    inside = [row for row in told if _lies_in(asked, row)]
    left_out = study.refused
    if not inside:
        return Task(asked.name, np.zeros((0, len(NAMES))), np.zeros(0)), left_out or (
            "it has no training in its space to learn from"
        )
    if len(inside) > MOST_ROWS:
        chosen = np.linspace(0, len(inside) - 1, MOST_ROWS).astype(int)
        inside = [inside[index] for index in chosen]
    sweep = Sweep(asked.space, asked.make_pricing(study.begun.outputs))
    designs = [row.values for row in inside]
    cut = sweep.cut(designs)
    columns: dict[str, Floats] = {}
    for pricer in sweep.pricing.pricers:
        for name, figures in pricer.price(cut)[0].items():
            known = columns.setdefault(name, figures)
            columns[name] = np.where(np.isnan(known), figures, known)
    features = Describer(sweep).describe(designs, columns)
    built = ~np.isnan(features).any(axis=1)
    errors = np.array([row.column(asked.measured) for row in inside])
    return Task(asked.name, features[built], errors[built]), left_out


def _lies_in(asked: StudySpec, row: Evaluation) -> bool:
    """Whether a row's axes are a design of the study's space; baselines beside it have none."""
    try:
        return bool(row.values) and asked.space.complete(row.values) == row.values
    except InvalidInput:
        return False


def _read(path: Path) -> tuple[Experience, list[str]]:
    """A file of this form, each number looked at, and what it was made of."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict) or plain.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"schema_version must be {SCHEMA_VERSION}")
        if plain.get("feature_set") != FEATURE_SET or plain.get("features") != list(NAMES):
            raise InvalidFile(
                f"{path} is a prior of the feature set {short(plain.get('feature_set'))}, and this "
                f"program describes networks by '{FEATURE_SET}': make it anew (python "
                "benchmarks/prior.py), or use prior: shipped"
            )
        of = [str(each) for each in _list(plain["of"])]
        return Experience(tuple(map(_task, _list(plain["tasks"]))), _hyper(plain["hyper"])), of
    except InvalidFile:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(
            f"{path} cannot be read: {error}; restore it or use prior: none"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidFile(
            f"{path} is no prior: {printable(str(error))}; restore it, or use prior: none"
        ) from None


def _hyper(plain: Any) -> Hyper:
    lengths = tuple(_number(each, 1e-3, 1e3) for each in _list(plain["lengths"]))
    if len(lengths) != len(NAMES):
        raise ValueError(f"lengths must be {len(NAMES)} numbers")
    return Hyper(
        variance=_number(plain["variance"], 1e-6, 1e3),
        lengths=lengths,
        own_share=_number(plain["own_share"], 0.0, 1e3),
        noise=_number(plain["noise"], 1e-6, 1e2),
    )


def _task(plain: Any) -> Task:
    errors = [_number(each, 0.0, 1e3) for each in _list(plain["errors"])]
    rows = [
        [_number(each, -MOST_FEATURE, MOST_FEATURE) for each in _list(row)]
        for row in _list(plain["features"])
    ]
    if not rows or len(rows) != len(errors) or any(len(row) != len(NAMES) for row in rows):
        raise ValueError(f"a task must have {len(NAMES)} features for each of its errors")
    if len(rows) > MOST_ROWS * MOST_TASKS:
        raise ValueError(f"a task must have at most {MOST_ROWS * MOST_TASKS:,} rows")
    return Task(str(plain["name"]), np.array(rows), np.array(errors))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{short(value)} must be a list")
    return value


def _number(value: Any, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most:
        raise ValueError(f"{short(value)} must be a number from {least:g} to {most:g}")
    return float(value)
