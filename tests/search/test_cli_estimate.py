import csv
import io
import json

import pytest
import yaml
from click.testing import CliRunner

from cost_models import accelerator_names, estimate, load_accelerator, load_technology
from dse.lowering import lower
from dse.published import published
from search.cli import group, main

DESIGN = "matchboxnet-3x1x64-P1"


def run(*arguments):
    result = CliRunner().invoke(group, ["estimate", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_prints_counts_energy_and_bounds():
    result = run(DESIGN)
    assert result.exit_code == 0
    cost = price("kws_ternary")
    for text in (
        f"{DESIGN} (key ",
        "one inference of 128 frames, 12 outputs",
        f"{cost.trained_parameters:,}",
        f"{cost.energy_pj * 1e-6:,.3f} uJ 100.0%",
        f"{cost.latency_cycles:,} at 10 MHz",
        "ternary addition",
        "bound by activation memory",
        "B1.0.pw.bn",
        "machine     kws_ternary: ",
        "technology  horowitz_45nm: ",
        "docs/model.md",
    ):
        assert text in result.stdout, text


def price(machine, frames=128, outputs=12):
    accelerator = load_accelerator(machine)
    workload = lower(published(DESIGN), frames=frames, outputs=outputs)
    return estimate(workload, accelerator, load_technology(accelerator.technology))


def test_json_has_totals_layers_and_sources():
    [cost] = json.loads(run(DESIGN, "--json", "--frames", "64", "--outputs", "30").stdout)
    expected = price("kws_ternary", 64, 30)
    assert cost["total"] == pytest.approx(expected.columns())
    assert [layer["layer"] for layer in cost["layers"]] == [
        layer.name for layer in expected.workload.layers
    ]
    assert cost["design_key"] == published(DESIGN).key
    assert "Horowitz" in cost["sources"]["dram_pj_per_bit"]


def test_csv_has_one_row_a_machine_and_layer():
    stdout = run(DESIGN, "--csv", "--compare", "kws_int8").stdout
    rows = list(csv.DictReader(io.StringIO(stdout)))
    layers = len(price("kws_int8").layers)
    assert [row["accelerator"] for row in rows] == ["kws_ternary"] * layers + ["kws_int8"] * layers
    energy_pj = sum(float(row["energy_pj"]) for row in rows[layers:])
    assert energy_pj == pytest.approx(price("kws_int8").energy_pj)


def test_compares_all_machines_of_the_library():
    names = accelerator_names()
    stdout = run(DESIGN, "--machine", names[0], "--compare", ",".join(names)).stdout
    for name in names:
        assert stdout.count(f"machine     {name}: ") == 1
        assert f"{price(name).energy_pj * 1e-6:,.3f} uJ" in stdout


def test_another_technology():
    [cost] = json.loads(run(DESIGN, "--technology", "synthesis_45nm", "--json").stdout)
    assert cost["technology"] == "synthesis_45nm"


def test_reads_a_design_file(tmp_path):
    path = tmp_path / "design.yaml"
    path.write_text(yaml.safe_dump(published(DESIGN).to_dict()))
    [from_file] = json.loads(run(str(path), "--json").stdout)
    [from_name] = json.loads(run(DESIGN, "--json").stdout)
    assert from_file == from_name


def test_a_name_with_brackets_is_no_markup(tmp_path):
    path = tmp_path / "design.yaml"
    path.write_text(yaml.safe_dump(published(DESIGN).to_dict() | {"name": "[red]x[/blue]"}))
    result = run(str(path))
    assert "[red]x[/blue] (key" in result.stdout


def test_says_what_does_not_fit():
    stdout = " ".join(run("quartznet-5x5", "--frames", "500", "--outputs", "29").stdout.split())
    assert "Does not fit: weights take" in stdout
    assert (
        "activation_memory.capacity_bits of kws_ternary is 262,144. Priced as if it did" in stdout
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_net"], "there is no published network 'no_such_net'"),
        (["none.yaml"], "none.yaml does not exist"),
        ([DESIGN, "--machine", "kws"], "no machine is called 'kws'"),
        ([DESIGN, "--compare", "kws_int8,tpu"], "no machine is called 'tpu'"),
        ([DESIGN, "--technology", "3nm"], "no technology is called '3nm'"),
    ],
)
def test_input_errors_are_one_sentence_and_exit_code_2(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["estimate", *arguments])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"dse: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json", "--csv"], "choose one of --json and --csv"),
        (["--frames", "0"], "0 is not in the range x>=1"),
    ],
)
def test_wrong_options(arguments, message):
    result = run(DESIGN, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_help_names_the_machines():
    stdout = run("--help").stdout
    assert "kws_int8_dram" in stdout
    assert "\\b" not in stdout
