"""`dse search --check`: what a space comes to, by counts that are made one by one."""

from pathlib import Path

import pytest

from cost_models import estimate
from cost_models.cost import misfits
from dse.errors import InvalidInput, InvalidStudy
from dse.networks.lowering import lower
from dse.pricing.sweep import Sweep
from dse.studies.spec import StudySpec
from dse_cli import main
from search.check import check_data, check_space
from search.survey import survey
from tests.studies import read

SPACE = """
name: small
data: {folder: speech, task: {kind: words, words: [a, b], unknown: false, silence: false}}
space:
  blocks: [1, 2]
  policy: [P0, P2]
  density: 0.25
  matrix_order: [rows, 3x5]
  channels: [16, 48]
  prologue_channels: 32
  epilogue_channels: 32
  final_channels: 32
"""
LIMITS = "limits: {max_trained_parameters: 9000, max_energy_pj: 4.0e+6, max_error: 0.4}\n"
ONE, SEVERAL = "machine: kws_ternary\n", "hardware: {machine: [kws_ternary, kws_int8, kws_tiny]}\n"


def one_by_one(spec: StudySpec) -> dict[str, int]:
    """The same counts, a design at a time, by the model itself."""
    counts = {"built": 0, "executed": 0, "held": 0, "feasible": 0}
    for values in spec.space.enumerate():
        try:
            workload = lower(spec.space.point(values), frames=spec.features.frames, outputs=2)
        except InvalidInput:
            continue
        found = {"built"}
        for machine in spec.machines:
            try:
                cost = estimate(workload, machine.accelerator, machine.technology)
            except InvalidInput:
                continue
            found.add("executed")
            if not misfits(cost.stored_bits, cost.activation_bits, machine.accelerator):
                found.add("held")
                if not spec.budget.violations(cost.columns()):
                    found.add("feasible")
        for name in found:
            counts[name] += 1
    return counts


@pytest.mark.parametrize("machines", [ONE, SEVERAL], ids=["one", "several"])
def test_counts_are_those_of_the_model(machines: str) -> None:
    spec = read(SPACE + LIMITS + machines)
    found = check_space(spec, outputs=2)
    assert found.whole and found.priced == spec.space.size == 12
    counted = {name: getattr(found, name) for name in ("built", "executed", "held", "feasible")}
    assert counted == one_by_one(spec)
    assert 0 < found.feasible < found.held


def test_the_limit_that_binds_is_the_one_without_which_most_would_do() -> None:
    found = check_space(read(SPACE + LIMITS + ONE), outputs=2)
    assert {str(each.limit).split()[0] for each in found.limits} == {
        *("trained_parameters", "energy_pj")
    }
    binding = found.binding
    assert binding is not None
    assert binding.without == max(each.without for each in found.limits) > found.feasible
    for each in found.limits:
        assert found.feasible <= min(each.passes, each.without) and each.passes <= found.held


def test_without_limits_nothing_binds() -> None:
    found = check_space(read(SPACE + ONE), outputs=2)
    assert found.binding is None and found.feasible == found.held


def test_an_order_that_no_array_takes_is_counted_and_told() -> None:
    """Tiles of 3 x 5 fit no tree of `kws_ternary`."""
    spec = read(SPACE + ONE)
    found = check_space(spec, outputs=2)
    assert found.executed < found.built
    assert found.not_executed


def run(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["search", str(path), "--check"])
    assert isinstance(caught.value.code, int)
    return (caught.value.code, *capsys.readouterr())


def test_check_looks_at_the_data_and_prices_the_space(
    study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = study_file.read_text().replace("limits: {", "limits: {max_error: 0.5, ")
    study_file.write_text(
        text + "hardware:\n  machine: [kws_ternary, kws_int8]\n"
        "  memories: {weight_sram: {capacity_bits: [fit, 1048576, 8]}}\n"
    )
    code, out, err = run(capsys, study_file)
    assert (code, err) == (0, "")
    assert "160 designs of 11 axes on 4 machines (2 more cannot exist; the first: " in out
    assert "data: 3 classes; clips: 72 training, 24 validation, 24 testing" in out
    assert "of 160 designs, all of them:" in out
    assert "  keep trained_parameters <= 2,500" in out
    assert "binding limit: trained_parameters <= 2,500; without it " in out
    assert "error <= 0.5: only a training tells" in out
    assert not (study_file.parent / "studies").exists()


def test_check_tells_of_missing_data_after_the_space(
    study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_file.write_text(study_file.read_text().replace("left, right, stop", "left, up, stop"))
    code, out, err = run(capsys, study_file)
    assert code == 2 and "word 'up' has no clips in" in err
    assert "of 160 designs, all of them:" in out


def test_check_of_a_space_without_a_design_within_the_limits_fails(
    study_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study_file.write_text(study_file.read_text().replace("2500}", "25}"))
    code, out, err = run(capsys, study_file)
    assert code == 2 and "no design of the space keeps the limits" in err
    assert "     0  keep all of it" in out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            (("[P0, P2, P4]", "P2\n  matrix_order: 5x3"),),
            "the machine executes no design of the space",
        ),
        (
            (("trainings: 4", "hardware: {memories: {weight_sram: {capacity_bits: 8192}}}"),),
            "no design of the space fits the memories of the machine",
        ),
    ],
)
def test_check_says_what_keeps_every_design_away(
    changes: tuple[tuple[str, str], ...],
    message: str,
    study_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = study_file.read_text().replace("limits: {max_trained_parameters: 2500}\n", "")
    text = text.replace("[8, 16]", "[512]").replace("[16, 32]", "[512]")
    for old, new in changes:
        text = text.replace(old, new)
    study_file.write_text(text)
    code, _, err = run(capsys, study_file)
    assert code == 2 and err.startswith(f"dse: {message}")


def test_a_search_says_why_no_machine_executes_its_space() -> None:
    text = SPACE.replace("[P0, P2]", "P2").replace("[rows, 3x5]", "3x5")
    spec = read(text + ONE)
    sweep = Sweep(spec.space, spec.make_pricing(12))
    with pytest.raises(
        InvalidStudy, match=r"can execute no point of the space; for example: .*3 x 5"
    ):
        survey(sweep, seed=1)


def test_data_are_looked_at_by_names_alone(study_file: Path) -> None:
    from dse.studies.reading import read_study

    found = check_data(read_study(study_file))
    assert found.outputs == 3 and found.words == "3 classes; clips"
    assert found.counts == {"training": 72, "validation": 24, "testing": 24}
