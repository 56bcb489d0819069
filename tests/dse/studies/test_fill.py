"""A study whose budget is an equality: widths are solved, wherever a design of it is built."""

import numpy as np
import pytest

from dse.design.point import DesignPoint
from dse.errors import InvalidDesign, InvalidFile, InvalidInput, InvalidStudy
from dse.networks.lowering import lower
from dse.pricing.filling import FILLED
from dse.pricing.listening import price_hop
from dse.pricing.sweep import Sweep
from dse.studies.resolved import Begun, parse_resolved, resolved_yaml
from dse.studies.unchanged import check_unchanged
from tests.studies import open_optuna_study, read

TEXT = """
name: small
data: {folder: speech, task: {kind: all_words}}
space: {blocks: [1, 2], policy: [P0, P2], policy_mixer: [ternary, butterfly], density: 0.25}
limits: {max_trained_parameters: 60000}
fill: trained_parameters
baselines: [matchboxnet-3x1x64, {blocks: 2, policy: P0}]
trainings: 4
"""


def trained(point: DesignPoint, outputs: int) -> int:
    return lower(point, frames=128, outputs=outputs).trained_parameters


def test_designs_fill_the_budget_and_none_is_beyond() -> None:
    spec = read(TEXT).of_outputs(30)
    assert spec.space.size == 2 * (1 + 2)
    designs = list(spec.space.enumerate())
    pricing = spec.make_pricing(30)
    columns, _ = pricing.pricers[0].price(Sweep(spec.space, pricing).cut(designs))
    for at, values in enumerate(designs):
        assert "channels" not in values
        try:
            point = spec.space.point(values)
        except InvalidDesign as error:
            # Butterflies take powers of two, and 64 is too few, 128 too many: both views agree.
            assert "no channels fill trained_parameters 60,000: nearest are" in str(error)
            assert values["policy_mixer"] == "butterfly" and np.isnan(columns["energy_pj"][at])
            continue
        count = trained(point, 30)
        assert columns["trained_parameters"][at] == count
        assert FILLED * 60_000 <= count <= 60_000
    assert 4 <= np.isfinite(columns["energy_pj"]).sum() < len(designs)


def test_classes_of_the_data_count() -> None:
    """Before the data are looked at, all words are 35; a head of others leaves other widths."""
    spec = read(TEXT)
    values = {"blocks": 2, "policy": "P0"}
    assert 57_000 <= trained(spec.space.point(values), 35) <= 60_000
    assert trained(spec.space.point(values), 200) > 60_000
    few = spec.of_outputs(2)
    assert 57_000 < trained(few.space.point(values), 2) <= 60_000
    # The baseline of axes follows; the published network has its own width, beside the space.
    [published, axes] = few.baselines
    assert published.values is None and published.point.blocks[1].out_channels == 64
    assert axes.point.key == few.space.point(values).key != spec.baselines[1].point.key


def test_a_record_solves_as_the_study_did() -> None:
    spec = read(TEXT).of_outputs(12)
    box = {"error": (0, 1), "energy_pj": (4, 8)}
    begun = Begun(data_key="d4ta", outputs=12, box=box, workers=1)
    again, _ = parse_resolved(resolved_yaml(spec, begun), "resolved.yaml")
    assert again.fill == {"trained_parameters": 60_000}
    values = {"blocks": 1, "policy": "P2", "policy_mixer": "ternary"}
    assert again.space.point(values).key == spec.space.point(values).key
    check_unchanged(again, spec, "here")
    other = read(TEXT.replace("60000", "50000"))
    with pytest.raises(InvalidStudy, match=r"with fill.trained_parameters 60000.0, and .* 50000.0"):
        check_unchanged(other, spec, "here", also=("limits", "baselines"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("fill: t", "fill: trained_parameter\n#"), "did you mean 'trained_parameters'?"),
        (("fill: trained_parameters", "fill: error"), "a column that is known before a training"),
        (("fill: trained_parameters", "fill: energy_pj"), "add max_energy_pj there"),
        (("blocks: [1, 2]", "channels: [32, 64]"), "'channels' would be overruled: leave"),
        (("blocks: [1, 2]", "channels_b2: 32"), "'channels_b2' would be overruled: leave"),
        (
            (
                "fill: trained_parameters",
                "fill: energy_pj\nhardware: {machine: [kws_ternary, kws_int8]}",
            ),
            "2 machines differ in energy_pj",
        ),
    ],
)
def test_what_cannot_be_filled(change: tuple[str, str], message: str) -> None:
    text = TEXT.replace(*change)
    if "differ" in message:
        text = text.replace("max_trained_parameters: 60000", "max_energy_pj: 6e6")
    with pytest.raises(InvalidFile) as caught:
        read(text)
    assert message in str(caught.value) and "study.yaml:" in str(caught.value)


def test_a_sweep_says_that_it_solves_nothing() -> None:
    spec = read(TEXT)
    with pytest.raises(InvalidInput, match="'channels' is solved from the budget: leave fill out"):
        next(iter(Sweep(spec.space, spec.make_pricing(12)).run()))


LISTENS = """
name: small
data: {folder: speech, task: {kind: words, words: [a, b], unknown: false, silence: false}}
space: {blocks: [1, 2], policy: P0, prologue_stride: 2}
limits: {max_hop_energy_pj: 400000}
stream: {hop_frames: 2}
objectives: [error, listening_power_uw]
fill: hop_energy_pj
trainings: 4
"""


def test_a_column_of_a_stream_is_filled() -> None:
    spec = read(LISTENS)
    for values in spec.space.enumerate():
        workload = lower(spec.space.point(values), frames=128, outputs=2)
        cost, _ = price_hop(workload, spec.machines[0], 2)
        assert FILLED * 400_000 <= cost.energy_pj <= 400_000
    again = open_optuna_study(LISTENS)
    kept, _ = parse_resolved(resolved_yaml(again.asked, again.begun), "resolved.yaml")
    values = next(kept.space.enumerate())
    asked = again.asked.of_outputs(again.begun.outputs)  # what the data say
    assert kept.space.point(values).key == asked.space.point(values).key
    alone = LISTENS.replace("stream: {hop_frames: 2}\n", "").replace(
        "hop_energy_pj: 4", "energy_pj: 4"
    )
    with pytest.raises(InvalidFile, match="it must be a column that is known before a training"):
        read(alone.replace("listening_power_uw", "energy_pj"))
