"""What benchmarks/generator_accuracy.csv says: families of one density learn equally well.

The file is a measurement of 70 trainings on synthesised speech (its script repeats it in about a
quarter of an hour); this test holds the claim of docs/evidence/generator.md against it.
"""

import csv
import itertools
from pathlib import Path

import numpy as np
from scipy import stats

from dse.ternary.generators import FAMILIES

FILE = Path(__file__).parents[3] / "benchmarks" / "generator_accuracy.csv"


BALANCED = "one_hot balanced"


def errors(column: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            assert row["family"] == "dense" or float(row["density"]) == 0.25
            name = (
                f"{row['family']} {row['signs']}" if row["signs"] == "balanced" else row["family"]
            )
            found.setdefault(name, []).append(float(row[column]))
    return found


def test_ten_seeds_of_every_family_were_trained() -> None:
    found = errors("test_error")
    assert set(found) == {*FAMILIES, BALANCED, "dense"}
    assert {len(values) for values in found.values()} == {10}


def test_families_differ_by_no_more_than_seeds_do() -> None:
    for column in ("validation_error", "test_error"):
        families = {name: values for name, values in errors(column).items() if name in FAMILIES}
        # One-way analysis of variance over all five, then each pair against its own spread.
        assert stats.f_oneway(*families.values()).pvalue > 0.05
        for one, other in itertools.combinations(families.values(), 2):
            spread = np.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / 2)
            assert abs(np.mean(one) - np.mean(other)) < spread


def test_balanced_signs_learn_as_well_as_random_ones() -> None:
    for column in ("validation_error", "test_error"):
        found = errors(column)
        assert stats.ttest_ind(found["one_hot"], found[BALANCED]).pvalue > 0.05


def test_the_measurement_could_have_found_a_difference() -> None:
    # The dense control is better by more than seeds differ: so would a worse family have been.
    for column in ("validation_error", "test_error"):
        found = errors(column)
        for family in (*FAMILIES, BALANCED):
            assert stats.ttest_ind(found[family], found["dense"]).pvalue < 0.001
