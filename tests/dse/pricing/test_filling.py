"""The width that fills a budget: published anchors, all widths by hand, and none that meets it."""

import dataclasses
import math

import pytest

from cost_models import load_accelerator, load_technology
from dse.design.families.family import Values
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.families.mixing import of_kind
from dse.design.mixer import MixerKind
from dse.design.policies import make_dense
from dse.design.published import published, published_values
from dse.errors import InvalidDesign
from dse.networks.lowering import lower
from dse.pricing.filling import FILLED, Filled, Filling, Met, check_axis
from dse.pricing.known_parts import COUNTED
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing

ACCELERATOR = load_accelerator("kws_ternary_stored")
MACHINE = Machine(ACCELERATOR, load_technology(ACCELERATOR.technology))

ANCHORS = {
    "5x2x64-P1": 78_174,
    "6x1x64-P1": 77_918,
    "11x2x64-P2": 77_406,
    "3x4x128-P2": 76_894,
    "12x1x96-P2": 77_662,
    "8x3x96-P3": 77_150,
}
"""paper.md 5.4: trained parameters of 30 classes, all within 1K of 77,214."""


PRICING = Pricing([MACHINE], frames=128, outputs=30)


def filling(budget: float, column: str = "trained_parameters", axis: str = "channels") -> Filling:
    return Filling(MATCHBOXNET, PRICING, column, budget, axis=axis)


def values_of(name: str) -> Values:
    found = published_values(f"matchboxnet-{name}", MATCHBOXNET)
    assert found is not None
    return found


def test_published_anchors() -> None:
    """Each is the widest that keeps its own count, and 77,214 is within 1K of what was found."""
    all_at_once = filling(77_214)
    for name, found in zip(ANCHORS, all_at_once.fill(list(map(values_of, ANCHORS))), strict=True):
        exact = filling(ANCHORS[name]).fill([values_of(name)])[0].below
        assert exact == Met(int(name.split("-")[0].split("x")[2]), ANCHORS[name])
        nearest = found.nearest(77_214)
        assert nearest is not None and abs(nearest.amount - 77_214) < 1_000


COLUMNS = (*COUNTED, "energy_pj", "area_um2")


@pytest.mark.parametrize(
    "kind", ["dense", "scaled_ternary", "partly_ternary", "monarch", "butterfly", "codebook"]
)
def test_the_same_as_all_widths_one_by_one(kind: MixerKind) -> None:
    """Of every width that makes a network, by the cost of the whole design; none is as wide as
    Conv1, where a skip becomes an identity and all counts are less than one channel before."""
    sizes: Values = {"monarch_blocks": 4, "rank": 5, "circulant_size": 4, "ternary_seed": 3}
    network: Values = {"blocks": 1, "policy": "P3", "prologue_channels": 32, **sizes}
    values = of_kind(MATCHBOXNET, network, kind)
    costs = {}
    for width in range(1, 25):
        try:
            costs[width] = PRICING.best(MATCHBOXNET.build({**values, "channels": width})).columns
        except InvalidDesign:
            continue
    assert len(costs) >= 3
    for column in COLUMNS:
        amounts = {width: each[column] for width, each in costs.items()}
        for budget in (1.01 * amounts[8], float(amounts[16]))[: 1 + (column in COUNTED)]:
            [found] = filling(budget, column).fill([values])
            below = max(amount for amount in amounts.values() if amount <= budget)
            above = [amount for amount in amounts.values() if amount > budget]
            assert found.below is not None and found.below.amount == below, column
            if found.below.value in amounts:
                assert amounts[found.below.value] == below, column
            if found.above is not None and found.above.value in amounts:
                assert found.above.amount == min(above) == amounts[found.above.value], column


def test_counted_widths_are_executed_or_not_found() -> None:
    """A machine that refuses ternary weights: its stored bits can be counted all the same."""
    plain = load_accelerator("kws_int8")
    refuses = Machine(
        dataclasses.replace(plain, ternary_weights="refused"), load_technology(plain.technology)
    )
    at = Filling(MATCHBOXNET, Pricing([refuses], frames=128, outputs=30), "stored_bits", 3e5)
    dense, ternary = at.fill([values_of("3x1x64"), values_of("3x1x64-P1")])
    assert dense.below is not None and dense.above is not None
    assert dense.above.value == dense.below.value + 1
    assert ternary == Filled(None, None, "no machine executes any")


def test_repeats_and_blocks_are_solved_too() -> None:
    name = "5x2x64-P1"
    for axis, value in (("repeats", 2), ("blocks", 5)):
        [found] = filling(ANCHORS[name], axis=axis).fill([values_of(name)])
        assert found.below == Met(value, ANCHORS[name])
    # A family has 32 blocks at most, and the interval ends there.
    [found] = filling(1e9, axis="blocks").fill([values_of(name)])
    assert found.below is not None and found.below.value == 32 and found.above is None


def test_a_budget_that_no_width_meets_has_two_nearest() -> None:
    at = filling(77_000)
    butterfly, narrow = (
        of_kind(MATCHBOXNET, values_of(name), "butterfly") for name in ("3x1x64-P3", "3x1x64")
    )
    [found] = at.fill([butterfly])
    words = found.told("channels", "trained_parameters", 77_000)
    assert words == (
        "no channels fill trained_parameters 77,000: nearest are 256 with 63,454 and 512 with "
        "104,670"
    )
    assert found.below is not None and found.below.amount < FILLED * 77_000
    assert at.solve([butterfly]) == [words]
    [solved] = at.solve([narrow])
    assert isinstance(solved, dict) and solved["channels"] == 63
    # One beyond the narrowest network, and one whose other widths are no powers of two.
    [tiny] = filling(10).fill([narrow])
    assert tiny.below is None
    assert "the fewest are 1 with" in tiny.told("channels", "trained_parameters", 10)
    [none] = at.fill([{**butterfly, "prologue_channels": 100}])
    assert none.nearest(77_000) is None
    assert "Conv1.0.pw: a butterfly mixer needs widths that are powers of two, not 100" in (
        none.told("channels", "trained_parameters", 77_000)
    )


def test_nearest_is_on_either_side() -> None:
    both = Filled(Met(1, 90.0), Met(2, 105.0))
    assert both.nearest(100) == Met(2, 105.0)
    assert both.nearest(94) == Met(1, 90.0)
    assert Filled(None, None, "why").nearest(1) is None


@pytest.mark.parametrize("policy", ["P0", "P1", "P2", "P3", "P4"])
def test_a_policy_spelled_out_is_the_same_network(policy: str) -> None:
    values: Values = {"blocks": 2, "channels": 128, "policy": policy}
    point = MATCHBOXNET.build(values)
    spelled = MATCHBOXNET.build(of_kind(MATCHBOXNET, values, "ternary"))
    assert spelled.key == point.key
    # Dense in the same places: identities stay.
    assert MATCHBOXNET.build(of_kind(MATCHBOXNET, values, "dense")).key == make_dense(point).key
    monarch = MATCHBOXNET.build({**values, "policy_mixer": "monarch"}) if policy != "P0" else point
    assert MATCHBOXNET.build(of_kind(MATCHBOXNET, values, "monarch")).key == monarch.key


def test_mixers_of_single_places_change_their_kind() -> None:
    values: Values = {"blocks": 2, "block_mixer_b1": "ternary", "skip": "none", "rank": 4}
    assert of_kind(MATCHBOXNET, values, "low_rank") == {**values, "block_mixer_b1": "low_rank"}


def test_what_cannot_be_solved() -> None:
    with pytest.raises(InvalidDesign, match=r"is one of channels, .*, not 'kernel'"):
        check_axis("kernel", [], MATCHBOXNET)
    with pytest.raises(InvalidDesign, match=r"'channels_b2' decides a block's own width, .*leave"):
        check_axis("channels", ["channels", "channels_b2"], MATCHBOXNET)


def test_counts_are_those_of_the_lowered_network() -> None:
    [found] = filling(40_000).fill([values_of("2x1x64-P2")])
    assert found.below is not None
    point = published(f"matchboxnet-2x1x{found.below.value}-P2")
    assert lower(point, frames=128, outputs=30).trained_parameters == found.below.amount
    assert not math.isnan(found.below.amount)
