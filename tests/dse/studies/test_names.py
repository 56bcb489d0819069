"""One name for one design: distinct designs of a study share none, equal ones always do."""

import random

import pytest

from dse.design.families.family import Values
from dse.design.point import DesignPoint
from dse.design.published import published
from dse.studies.names import name_design
from dse.studies.rows import Evaluation
from tests.studies import read

TEXT = """
name: small
data: {folder: speech, task: {kind: commands}}
space:
  blocks: [1, 2]
  policy: [P0, P2, P4]
  density: [0.125, 0.25]
  channels: [16, 32]
  kernel: [9, 13]
  skip_norm: [true, false]
  dropout: [0.0, 0.1]
  prologue_channels: [32, 64]
  final_channels: [32, 64]
"""
SPACE = read(TEXT).space


def row(trial: int, point: DesignPoint, values: Values, name: str) -> Evaluation:
    return Evaluation(
        trial=trial, status="trained", source="search", key=point.key, name=name, values=values
    )


def named(designs: list[Values]) -> dict[str, set[str]]:
    """Name -> keys of the designs that have it, one proposed after the other."""
    rows: list[Evaluation] = []
    found: dict[str, set[str]] = {}
    for trial, values in enumerate(designs):
        point = SPACE.point(values)
        name = name_design(point, values, rows)
        found.setdefault(name, set()).add(point.key)
        rows.append(row(trial, point, values, name))
    return found


@pytest.mark.parametrize("seed", range(2))
def test_distinct_designs_of_a_space_have_distinct_names(seed: int) -> None:
    rng = random.Random(seed)
    designs = [SPACE.sample(rng) for _ in range(120)]
    found = named(designs)
    assert all(len(keys) == 1 for keys in found.values())
    assert len(found) == len({SPACE.point(values).key for values in designs})
    assert max(map(len, found)) < 100 and all(" key=" not in name for name in found)


def test_a_name_says_the_least_that_tells_apart() -> None:
    """By hand: the first has its summary; each other the one axis in which it differs."""
    first: Values = dict(
        blocks=2, policy="P2", density=0.125, channels=16, kernel=9, skip_norm=True
    ) | {"dropout": 0.0, "prologue_channels": 32, "final_channels": 32}
    designs = [
        first,
        first | {"kernel": 13},
        first | {"kernel": 13, "skip_norm": False},
        first | {"dropout": 0.1},
        first | {"kernel": 13, "dropout": 0.1},
        first,
        first | {"policy": "P4"},
    ]
    summary = "2x1x16 P2 0.125"
    assert list(named(designs)) == [
        summary,
        f"{summary} kernel=13",
        f"{summary} skip_norm=false",
        f"{summary} dropout=0.1",
        f"{summary} kernel=13 dropout=0.1",
        "2x1x16 P4 0.125",
    ]


def test_names_do_not_depend_on_what_comes_later() -> None:
    rng = random.Random(7)
    designs = [SPACE.sample(rng) for _ in range(60)]
    whole = list(named(designs))
    assert all(
        list(named(designs[:count])) == whole[: len(named(designs[:count]))]
        for count in (1, 10, 40)
    )


def test_a_network_beside_the_space_is_told_by_its_key() -> None:
    """Its row has no axes that could; and a published one keeps the name that all know."""
    values = next(SPACE.enumerate())
    point = SPACE.point(values)
    other = SPACE.point(values | {"kernel": 13})
    beside = row(-1, other, {}, point.summary)
    assert name_design(point, values, [beside]).startswith(point.summary)
    assert name_design(point, {}, [beside]) == f"{point.summary} key={point.key[:4]}"
    known = published("matchboxnet-3x1x64")
    assert name_design(known, {}, [beside]) == "matchboxnet-3x1x64"


def test_names_of_all_axes_of_a_family_tell_apart() -> None:
    """Whatever one axis changes: the network beside the default one is called otherwise."""
    family = SPACE.family
    base: Values = {"policy": "P4", "blocks": 2}
    for name, axis in family.axes.items():
        if name in ("blocks", "policy", *family.axes["policy"].replaces):
            continue
        start = base | dict(axis.beside) | {"blocks": 2}
        options = axis.options or (axis.default, axis.minimum if axis.minimum > 0 else 0.5)
        points: list[tuple[DesignPoint, Values]] = []
        for value in options:
            chosen: Values = start | {name: value}
            try:
                points.append((family.build(chosen), chosen))
            except ValueError:
                continue  # an option that this generator or density does not have
        rows: list[Evaluation] = []
        for point, chosen in points:
            rows.append(row(len(rows), point, chosen, name_design(point, chosen, rows)))
        assert len({each.name for each in rows}) == len({each.key for each in rows}), name
