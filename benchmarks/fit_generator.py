"""Fit the constants of `cost_models.generator` to synthesis and to gate-level energies.

    python benchmarks/fit_generator.py

reads benchmarks/generator_area.csv (own synthesis of our Verilog, see generator_area.py) and
benchmarks/generator_energy.csv (gate-level simulation at 45 nm and 1.1 V of generators of these
forms, a study made for this project), and prints constants and errors, also of the designs in
benchmarks/generator_area_held_out.csv that no fit has seen. No constant is negative. Of areas, the
mean relative error plus the largest is minimised; of energies, the squares.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog, nnls

from cost_models.generator import (
    AREA_PARTS,
    ENERGY_PARTS,
    FAMILIES,
    GeneratorArea,
    GeneratorEnergy,
    GeneratorParts,
    GeneratorSpec,
    generator_area_um2,
    generator_parts,
)
from cost_models.ternary_datapath import (
    DatapathArea,
    ternary_element_um2,
    ternary_tree_um2,
    tree_bits,
)

HERE = Path(__file__).parent
AREAS, ENERGIES = HERE / "generator_area.csv", HERE / "generator_energy.csv"
HELD_OUT = HERE / "generator_area_held_out.csv"
Row = tuple[str, GeneratorParts, float]
"""Name, parts, measured."""


def parts_of(row: Mapping[str, str]) -> GeneratorParts:
    """The parts of a row's generator."""
    return generator_parts(
        GeneratorSpec(
            family=row["block"],
            state_bits=int(row["state_bits"]),
            decision_bits=int(row["decision_bits"]),
            rounds=int(row["rounds"]),
        ),
        int(row["lanes"]),
        feedback_taps=int(row["feedback_taps"]) or 2,
    )


def area_rows(library: str, path: Path = AREAS) -> list[Row]:
    """Generators of one library: area in um2."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["library"] == library]
    return [
        (_name(row), parts_of(row), float(row["area_um2"]))
        for row in rows
        if row["block"] in FAMILIES
    ]


def energy_rows() -> list[Row]:
    """Generators: energy of a cycle in pJ."""
    with ENERGIES.open(newline="") as file:
        return [
            (_name(row), parts_of(row), float(row["energy_pj_per_trit"]) * int(row["lanes"]))
            for row in csv.DictReader(file)
        ]


def _name(row: Mapping[str, str]) -> str:
    return (
        f"{row['block']} N={row['state_bits']} k={row['decision_bits']} R={row['rounds']} "
        f"L={row['lanes']}"
    )


def fit(
    rows: Iterable[Row], parts: Mapping[str, str], *, largest: bool = False
) -> tuple[dict[str, float], list[float]]:
    """Constants by name, and each row's relative error.

    Args:
        rows: measured.
        parts: part -> name of its constant.
        largest: minimise the mean and the largest error instead of the squares.
    """
    rows = list(rows)
    names = list(dict.fromkeys(parts.values()))
    counts = np.zeros((len(rows), len(names)))
    for index, (_, found, measured) in enumerate(rows):
        for part, name in parts.items():
            counts[index, names.index(name)] += getattr(found, part) / measured
    constants = smallest_errors(counts) if largest else nnls(counts, np.ones(len(rows)))[0]
    return dict(zip(names, map(float, constants), strict=True)), list(counts @ constants - 1)


def smallest_errors(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Constants, none negative, whose |counts @ constants - 1| has the least mean plus largest."""
    rows, columns = counts.shape
    # A linear program. Unknowns: constants, each row's error, the largest of them.
    each, top = np.eye(rows), np.ones((rows, 1))
    none, nothing = np.zeros((rows, rows)), np.zeros((rows, 1))
    limits = np.vstack(
        [
            np.hstack([sign * counts, *rest])
            for rest in ((-each, nothing), (none, -top))
            for sign in (1, -1)
        ]
    )
    bounds = np.tile(np.repeat([1.0, -1.0], rows), 2)
    price = np.concatenate([np.zeros(columns), np.full(rows, 1 / rows), [1.0]])
    found: npt.NDArray[np.float64] = linprog(price, limits, bounds, bounds=(0, None)).x[:columns]
    return found


def datapath_rows(library: str, block: str, path: Path = AREAS) -> list[tuple[int, float]]:
    """Lanes of trees, or accumulator bits of processing elements, and area in um2."""
    size = "lanes" if block == "ternary_tree" else "state_bits"
    with path.open(newline="") as file:
        return [
            (int(row[size]), float(row["area_um2"]))
            for row in csv.DictReader(file)
            if row["library"] == library and row["block"] == block
        ]


def fit_datapath(library: str) -> tuple[dict[str, float], tuple[float, float]]:
    """Constants of `DatapathArea` by name, and the largest errors of trees and elements."""
    trees = datapath_rows(library, "ternary_tree")
    elements = datapath_rows(library, "ternary_pe")
    found = []
    for counts, areas in (
        ([(*tree_bits(lanes), 8 * lanes) for lanes, _ in trees], [a for _, a in trees]),
        ([(bits, 1) for bits, _ in elements], [a for _, a in elements]),
    ):
        relative = np.array(counts) / np.array(areas)[:, None]
        constants = smallest_errors(relative)
        found.append((constants, float(np.max(np.abs(relative @ constants - 1)))))
    (tree, tree_error), (element, element_error) = found
    names = (field.name for field in fields(DatapathArea))
    values = map(float, (*tree, *element))
    return dict(zip(names, values, strict=True)), (tree_error, element_error)


def _report(
    title: str, rows: list[Row], parts: Mapping[str, str], kind: type, *, largest: bool = False
) -> dict[str, float]:
    constants, errors = fit(rows, parts, largest=largest)
    print(f"{title}: {kind.__name__}(")
    for field in fields(kind):
        print(f"    {field.name}={constants.get(field.name, 0):.5g},")
    print(
        f")  # {len(rows)} designs, mean {np.mean(np.abs(errors)):.1%}, "
        f"largest {np.max(np.abs(errors)):.1%}"
    )
    _by_family(rows, errors)
    return constants


def _by_family(rows: list[Row], errors: list[float]) -> None:
    families: dict[str, list[float]] = {}
    for (name, _, _), error in zip(rows, errors, strict=True):
        families.setdefault(name.split()[0], []).append(abs(error))
    for family, own in families.items():
        print(f"#   {family}: {len(own)}, mean {np.mean(own):.1%}, largest {max(own):.1%}")
    worst = sorted(zip(errors, rows, strict=True), key=lambda pair: -abs(pair[0]))[:5]
    for error, (name, _, _) in worst:
        print(f"#   {error:+.1%} {name}")


def held_out_errors(
    library: str, constants: GeneratorArea, datapath: DatapathArea
) -> dict[str, list[float]]:
    """Relative errors of designs that the fit has not seen, by family or block.

    AND gates on 89 bits stand for themselves: how sky130 makes their XORs changes with every lane.
    """
    found: dict[str, list[float]] = {}
    for name, parts, area_um2 in area_rows(library, HELD_OUT):
        error = generator_area_um2(parts, constants) / area_um2 - 1
        odd = "lfsr_and N=89"
        found.setdefault(odd if name.startswith(odd) else name.split()[0], []).append(error)
    for block, model in (("ternary_tree", ternary_tree_um2), ("ternary_pe", ternary_element_um2)):
        found[block] = [
            model(size, datapath) / area_um2 - 1
            for size, area_um2 in datapath_rows(library, block, HELD_OUT)
        ]
    return found


def main() -> None:
    """Print all fits."""
    with AREAS.open(newline="") as file:
        libraries = dict.fromkeys(row["library"] for row in csv.DictReader(file))
    for library in libraries:
        constants = _report(library, area_rows(library), AREA_PARTS, GeneratorArea, largest=True)
        if not datapath_rows(library, "ternary_tree"):
            continue
        datapath, largest = fit_datapath(library)
        print(f"{library}: {datapath}, largest {largest[0]:.1%} (trees), {largest[1]:.1%}")
        unseen = held_out_errors(library, GeneratorArea(**constants), DatapathArea(**datapath))
        for name, errors in unseen.items():
            if not errors:
                continue
            print(
                f"# held out, {name}: {len(errors)}, mean {np.mean(np.abs(errors)):.1%}, "
                f"largest {np.max(np.abs(errors)):.1%}"
            )
    _report("45 nm", energy_rows(), ENERGY_PARTS, GeneratorEnergy)


if __name__ == "__main__":
    main()
