"""`dse match`: figures are those of an estimate, and what is wrong is one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cost_models import estimate, load_accelerator, load_technology
from dse.design.families.family import Values
from dse.design.families.matchboxnet import matchboxnet
from dse.design.families.quartznet import QUARTZNET
from dse.design.mixer import NEEDS
from dse.errors import InvalidInput
from dse.networks.lowering import lower
from dse.pricing.listening import price_hop
from dse.pricing.machine import Machine
from dse_cli import group

FILE = Path(__file__).parents[2] / "examples" / "silicon" / "tc_resnet8.yaml"
SMALL = ("--budget", "10k", "--with", "blocks=1,prologue_channels=32,epilogue_channels=32")


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(group, ["match", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_figures_are_those_of_an_estimate() -> None:
    rows = json.loads(run(*SMALL, "--json").stdout)
    assert {row["mixer"] for row in rows} == set(NEEDS) - {"identity"}
    row = next(row for row in rows if row["mixer"] == "low_rank")
    point = matchboxnet(
        {
            "blocks": 1,
            "prologue_channels": 32,
            "epilogue_channels": 32,
            "channels": row["channels"],
            "policy": "P3",
            "policy_mixer": "low_rank",
        }
    )
    machine = load_accelerator("kws_ternary")
    cost = estimate(
        lower(point, frames=128, outputs=12), machine, load_technology(machine.technology)
    )
    assert row["design_key"] == point.key
    assert row["trained_parameters"] == cost.workload.trained_parameters
    assert row["energy_pj"] == pytest.approx(cost.energy_pj)
    for each in rows:
        ends = [end["trained_parameters"] for end in (each["below"], each["above"]) if end]
        assert each["trained_parameters"] == min(ends, key=lambda end: abs(end - 10_000))
        assert each["off_share"] == pytest.approx(each["trained_parameters"] / 10_000 - 1, abs=1e-6)


def test_a_quartznet_is_matched_on_its_own_axes() -> None:
    like = ("--like", "quartznet-5x5-half", "--with", "repeats=1,block_repeats_b1=2")
    rows = json.loads(run("--budget", "1M", *like, "--kind", "dense,ternary", "--json").stdout)
    for row in rows:
        values: Values = {"repeats": 1, "block_repeats_b1": 2, "channels": row["channels"]}
        point = QUARTZNET.build({**values, "policy": "half", "policy_mixer": row["mixer"]})
        assert row["design_key"] == point.key
        workload = lower(point, frames=1000, outputs=29)
        assert (row["trained_parameters"], row["macs"]) == (
            workload.trained_parameters,
            workload.macs,
        )
        assert abs(row["off_share"]) < 0.02


def test_what_is_printed() -> None:
    result = run(*SMALL, "--kind", "dense,butterfly", "--budget", "30k")
    words = " ".join(result.stdout.split())
    assert "Each filled to 30,000 trained parameters on kws_ternary" in words
    assert "butterfly: no channels fill trained_parameters 30,000: nearest are" in words
    assert "dense:" not in words and result.exit_code == 0
    assert "…" not in words  # no figure is cut, however narrow the window
    assert run(*SMALL, "--kind", "butterfly", "--within", "0").exit_code == 1
    header, row = run(*SMALL, "--kind", "dense", "--csv").stdout.splitlines()
    assert header.startswith("mixer,design,design_key,channels,off_share,trained_parameters")
    assert row.startswith("dense,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--column", "energy"], "there is no column 'energy': did you mean 'energy_pj'?"),
        (["--kind", "dence"], "no mixing layer 'dence' for any widths: did you mean 'dense'?"),
        (["--like", str(FILE)], "nothing says which axes 'tc-resnet8' has"),
        (["--like", "quartznet-5x5", "--with", "channel=8"], "there is no axis 'channel' (did you"),
        (["--with", "channels_b1=8"], "'channels_b1' decides a block's own width"),
        (["--with", "repeats"], "--with must be axes and values such as repeats=2"),
        (["--with", "policy=P1,block_mixer=dense"], "'policy' chooses 'block_mixer' as well"),
        (["--with", "rank=0"], "'rank' must be at least 1, not 0"),
    ],
)
def test_what_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        run("--budget", "20k", *arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("budget", ["0", "-5", "77kb", "nan", "1e400"])
def test_a_budget_is_a_number_above_zero(budget: str) -> None:
    result = run("--budget", budget)
    assert result.exit_code == 2 and "is no number above 0 such as 77k or 1.2M" in result.output


def test_a_stream_is_filled_as_an_estimate_prices_it() -> None:
    asked = ("--kind", "dense", "--with", "blocks=1,stride=2", "--column", "hop_energy_pj")
    result = run("--budget", "500k", *asked, "--stream", "8", "--json")
    [dense] = json.loads(result.output)
    assert 0.9 * 500e3 < dense["hop_energy_pj"] <= 500e3 * 1.02
    values: Values = {"blocks": 1, "stride": 2, "channels": dense["channels"]}
    workload = lower(matchboxnet(values, in_channels=64), frames=128, outputs=12)
    machine = load_accelerator("kws_ternary")
    on = Machine(machine, load_technology(machine.technology))
    cost, _ = price_hop(workload, on, 8)
    assert dense["hop_energy_pj"] == pytest.approx(cost.energy_pj, rel=1e-9)
    found = run("--budget", "500k", *asked, "--stream", "3")
    assert "no machine executes any, or the hop fits its strides not" in found.output
    with pytest.raises(InvalidInput, match="hop_energy_pj is of a design that listens to a stream"):
        run("--budget", "500k", *asked)
