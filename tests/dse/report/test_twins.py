"""One dense reference: the twin, in every table and sentence that has a ratio to it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cost_models import estimate, load_accelerator, load_technology
from dse.design.families import DEFAULT
from dse.design.families.family import Values
from dse.design.policies import make_dense
from dse.design.published import published
from dse.networks.lowering import lower
from dse.pricing.priced import Priced
from dse.report import Report, designs_report
from dse.report.comparison import counterparts_table
from dse.report.twins import other_references


def plain(report: Report, table: str) -> list[dict[str, object]]:
    found = report.table(table)
    names = [field.name for field in found.fields]
    return [dict(zip(names, row, strict=True)) for row in found.plain_rows]


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    policy=st.sampled_from(["P1", "P2", "P3", "P4"]),
    channels=st.sampled_from([32, 64]),
    blocks=st.integers(1, 2),
    machine=st.sampled_from(["kws_ternary", "kws_int8"]),
)
def test_the_twin_of_a_table_is_the_design_that_another_table_prices(
    policy: str, channels: int, blocks: int, machine: str
) -> None:
    """The twin listed as a design of its own has the figures that the table of twins gives."""
    shape: Values = {"channels": channels, "blocks": blocks}
    point = DEFAULT.build({**shape, "policy": policy, "density": 0.25})
    on = load_accelerator(machine)
    technology = load_technology(on.technology)
    both = [
        Priced(point=each, cost=estimate(lower(each, frames=128, outputs=12), on, technology))
        for each in (point, make_dense(point))
    ]
    table = counterparts_table(both)
    assert table is not None and len(table.rows) == 1  # the twin has none itself
    names = [field.name for field in table.fields]
    row = dict(zip(names, table.plain_rows[0], strict=True))
    ternary, twin = (each.cost for each in both)
    assert row["dense_energy_uj"] == pytest.approx(twin.energy_pj * 1e-6)
    assert row["dense_latency_ms"] == pytest.approx(twin.latency_us * 1e-3)
    assert row["dense_trained_parameters"] == twin.workload.trained_parameters
    assert row["energy_ratio_times"] == pytest.approx(twin.energy_pj / ternary.energy_pj)
    # P0 of the same widths is named as something else just where it is something else.
    dense = DEFAULT.build({**shape, "policy": "P0"})
    other = Priced(point=dense, cost=estimate(lower(dense, frames=128, outputs=12), on, technology))
    said = list(other_references([both[0], other, both[1]]))
    assert len(said) == (dense.key != make_dense(point).key)
    for text in said:
        ratios = [each.energy_pj / ternary.energy_pj for each in (other.cost, twin)]
        assert f"takes {ratios[0]:.2f} times the energy, the twin" in text
        assert f"identities kept) {ratios[1]:.2f} times." in text


def test_the_ratio_to_p0_is_not_that_to_the_twin() -> None:
    """2.0 times by P0, whose skips are trained, 1.8 by the twin: both are named."""
    points = [published("matchboxnet-3x1x64"), published("matchboxnet-3x1x64-P3@4x32")]
    report = designs_report(points)
    energies = [float(str(row["energy_uj"])) for row in plain(report, "designs")]
    [row] = plain(report, "dense_counterparts")
    assert float(str(row["energy_ratio_times"])) < energies[0] / energies[1] - 0.1
    assert "identities stay" in report.table("dense_counterparts").note
    text = "\n".join(report.sections[0].points)
    assert "matchboxnet-3x1x64 is not the dense twin of matchboxnet-3x1x64-P3@4x32" in text
    # The twin itself, asked for as a design of its own, is called nothing else.
    twin = [points[1], make_dense(points[1])]
    assert "is not the dense twin" not in str(designs_report(twin).sections[0].points)
