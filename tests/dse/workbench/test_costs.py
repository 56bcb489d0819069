"""Prices, sweeps and frontiers as a notebook asks for them, held against the rooms below."""

import dataclasses
from pathlib import Path

import pytest

import dse
from cost_models import estimate, load_accelerator, load_technology_of
from dse.columns import COST_COLUMNS, STREAM_COLUMNS
from dse.design.published import published
from dse.errors import InvalidInput
from dse.networks.lowering import lower

AXES = {"blocks": [1, 2], "channels": [8, 16], "policy": ["P0", "P2"], "density": 0.25}


def test_a_price_is_the_estimate() -> None:
    frame = dse.price(
        ["matchboxnet-3x1x64", published("matchboxnet-3x1x64-P3")], ["kws_ternary", "kws_int8"]
    )
    assert frame["machine"].tolist() == ["kws_ternary", "kws_int8"] * 2
    machine = load_accelerator("kws_int8")
    workload = lower(published("matchboxnet-3x1x64-P3"), frames=128, outputs=12)
    cost = estimate(workload, machine, load_technology_of(machine, "kws_int8"))
    last = frame.iloc[3]
    assert {name: last[name] for name in COST_COLUMNS} == cost.columns()
    assert last["design"] == "matchboxnet-3x1x64-P3" and last["misfits"] == ""
    # Layers without a design behind them cost the same, and have sizes of their own.
    [same] = dse.price(workload, "kws_int8").to_dict("records")
    assert same["energy_pj"] == last["energy_pj"] and same["key"] == ""
    with pytest.raises(InvalidInput, match="are those of its layers: leave them out"):
        dse.price(workload, frames=100)


def test_usual_sizes_are_those_of_the_head() -> None:
    ten_seconds, one = (
        dse.price("quartznet-5x5", "edge_tpu_like", frames=frames)["macs"].item()
        for frames in (None, 100)
    )
    assert ten_seconds == 10 * one


def test_a_sweep_is_a_table_of_all_designs() -> None:
    space = dse.read_space(AXES)
    frame = dse.sweep(space, ["kws_ternary", "kws_int8"], limits={"max_trained_parameters": 36_000})
    assert len(frame) == 2 * space.size == 2 * 8
    assert set(frame["axis_policy"]) == {"P0", "P2"}
    dense = frame[frame["axis_policy"] == "P0"]
    assert dense["axis_density"].isna().all()  # does not matter there
    assert (frame["feasible"] == (frame["trained_parameters"] <= 36_000)).all()
    for _, row in frame.iterrows():
        axes = {
            name: row[f"axis_{name}"]
            for name in AXES
            if row[f"axis_{name}"] is not None and row[f"axis_{name}"] == row[f"axis_{name}"]
        }
        [priced] = dse.price(space.point(axes), row["machine"]).to_dict("records")
        assert priced["latency_us"] == pytest.approx(row["latency_us"], rel=1e-12)
    assert len(dse.sweep(AXES, sample=3)) == 3
    with pytest.raises(InvalidInput, match="workers must be at least 1, not 0"):
        dse.sweep(AXES, workers=0)


def test_a_stream_has_columns_of_its_own() -> None:
    space = {**AXES, "prologue_stride": [1, 2]}
    fixed = dse.read_machine("kws_int8")
    memories = tuple(
        dataclasses.replace(each, capacity_bits="fit") for each in fixed.accelerator.memories[1:]
    )
    fitted = dataclasses.replace(
        fixed,
        accelerator=dataclasses.replace(
            fixed.accelerator, memories=(fixed.accelerator.memories[0], *memories)
        ),
    )
    # On a machine that is built for the stream, the window is priced on that one, too.
    small = {"blocks": 1, "channels": 8, "policy": "P2", "density": 0.25}
    [window] = dse.sweep(small, fitted, hop_frames=2).to_dict("records")
    point = dse.read_space(small).point(small)
    [alone] = dse.price(point, fitted, hop_frames=2).to_dict("records")
    assert {name: alone[name] for name in COST_COLUMNS} == pytest.approx(
        {name: window[name] for name in COST_COLUMNS}, rel=1e-12
    )
    swept = dse.sweep(space, fixed, hop_frames=2)
    listening = swept[swept["feasible"]]
    assert len(listening) > 0 and (listening["hop_latency_us"] <= 20_000).all()
    names = [name for name in AXES if name != "density"]
    for _, row in listening.iloc[:4].iterrows():
        axes = {name: row[f"axis_{name}"] for name in (*names, "prologue_stride")}
        point = dse.read_space(space).point(axes | {"density": 0.25} if row["trits"] else axes)
        [priced] = dse.price(point, "kws_int8", hop_frames=2).to_dict("records")
        assert {name: priced[name] for name in STREAM_COLUMNS} == pytest.approx(
            {name: row[name] for name in STREAM_COLUMNS}, rel=1e-12
        )
    # A hop of one frame fits no stride of two.
    one = dse.sweep(space, "kws_int8", hop_frames=1)
    assert not one[one["axis_prologue_stride"] == 2]["feasible"].any()
    assert one[one["axis_prologue_stride"] == 1]["feasible"].any()
    with pytest.raises(InvalidInput, match="a hop of 3 frames does not fit"):
        dse.price("tcresnet-8", "kws_int8", hop_frames=3)


def test_a_module_of_a_file_is_priced() -> None:
    file = Path(__file__).parents[3] / "examples" / "own_network.py"
    [priced] = dse.price(f"{file}:build", "kws_int8").to_dict("records")
    assert priced["macs"] > 0 and priced["key"] == ""


def test_a_frontier_has_what_nothing_dominates() -> None:
    frame = dse.sweep(AXES, limits={"max_trained_parameters": 36_000})
    front = dse.frontier(frame, ["trained_parameters", "latency_us"])
    kept = frame[frame["feasible"]]
    by_hand = [
        place
        for place, row in kept.iterrows()
        if not (
            (kept["trained_parameters"] <= row["trained_parameters"])
            & (kept["latency_us"] <= row["latency_us"])
            & (
                (kept["trained_parameters"] < row["trained_parameters"])
                | (kept["latency_us"] < row["latency_us"])
            )
        ).any()
    ]
    assert sorted(front.index) == by_hand and 0 < len(front) < len(kept) < len(frame)
    assert front["trained_parameters"].is_monotonic_increasing
    with pytest.raises(InvalidInput, match="the table has no column 'energy': name columns such"):
        dse.frontier(frame, ["energy"])
    with pytest.raises(InvalidInput, match="no objective is given"):
        dse.frontier(frame)


def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="there is no axis 'chanels'"):
        dse.read_space({"chanels": 8})
    (tmp_path / "machine.yaml").write_text("pe: 4\n")
    with pytest.raises(InvalidInput, match="has no 'space' section"):
        dse.read_space(tmp_path / "machine.yaml")
    with pytest.raises(InvalidInput, match="nothing"):
        dse.price("nothing")
    with pytest.raises(InvalidInput, match="a table of 5,248,800 rows does not fit"):
        wide = {f"channels_b{block}": [8 * each for each in range(1, 10)] for block in (1, 2, 3)}
        more = {"kernel_b1": [*range(3, 63, 2)], "kernel_b2": [*range(3, 163, 2)]}
        dse.sweep({**wide, **more, "blocks": 3, "dropout": [0.0, 0.1, 0.2]})
