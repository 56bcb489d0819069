from pathlib import Path

import pytest

from dse.errors import InvalidFile, InvalidInput, InvalidStudy
from dse.studies.reading import read_study
from dse.studies.spec import StudySpec
from dse.studies.unchanged import check_unchanged

STUDY = """
name: small
data:
  folder: speech
  task: {kind: words, words: [yes, no, on, off], unknown: false, silence: false}
space:
  blocks: {low: 1, high: 2}
  channels: [16, 32]
  policy: [P0, P4]
  density: 0.25
objectives: [error, energy_pj]
limits: {max_trained_parameters: 20000}
baselines: [matchboxnet-3x1x64]
recipe: {epochs: 2}
trainings: 3
"""


def write(folder: Path, text: str = STUDY) -> Path:
    path = folder / "study.yaml"
    path.write_text(text)
    return path


def test_words_that_yaml_1_1_takes_for_booleans_stay_words(tmp_path: Path) -> None:
    assert read_study(write(tmp_path)).task.words == ("yes", "no", "on", "off")


def test_relative_paths_are_seen_from_the_study_file(tmp_path: Path) -> None:
    assert read_study(write(tmp_path)).data_folder == tmp_path / "speech"
    unknown = read_study(write(tmp_path, STUDY.replace("folder: speech", "folder: ~nobody0/x")))
    assert unknown.data_folder == tmp_path / "~nobody0" / "x"
    elsewhere = read_study(write(tmp_path), data_folder=Path("other"))
    assert elsewhere.data_folder == Path("other")


def test_candidates_default_to_fifty_per_training(tmp_path: Path) -> None:
    assert read_study(write(tmp_path)).candidates == 150
    assert read_study(write(tmp_path), trainings=9).candidates == 450
    limited = write(tmp_path, STUDY + "candidates: 7\n")
    assert read_study(limited, trainings=5).candidates == 7
    assert read_study(limited, trainings=9).candidates == 9


def test_few_bits_need_an_objective_that_feels_them(tmp_path: Path) -> None:
    few = STUDY.replace("  density: 0.25\n", "  density: 0.25\n  weight_bits: [8, 4]\n")
    with pytest.raises(InvalidFile, match=r"'weight_bits' has 4 bits, and 'error' .*yaml:11\)"):
        read_study(write(tmp_path, few))
    felt = few.replace("[error, energy_pj]", "[quantised_error, energy_pj]")
    assert read_study(write(tmp_path, felt)).objectives[0] == "quantised_error"


def test_resolved_spells_out_defaults(tmp_path: Path) -> None:
    spec = read_study(write(tmp_path))
    assert spec.resolved()["features"]["coefficients"] == 64
    assert spec.resolved()["recipe"]["epochs"] == 2
    check_unchanged(spec, spec, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("channels: [16, 32]", "channels: [16, 48]"), "space.channels.values [16, 32], and the"),
        (("epochs: 2", "epochs: 3"), "recipe.epochs 2, and the file now says 3"),
        (("20000", "30000"), "limits.max_trained_parameters 20000.0, and the file now says 30000"),
    ],
)
def test_a_changed_study_is_not_resumed(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    begun = read_study(write(tmp_path))
    changed = read_study(write(tmp_path, STUDY.replace(*change)))
    with pytest.raises(InvalidStudy) as caught:
        check_unchanged(changed, begun, "here")
    assert message in str(caught.value)
    assert "undo the change, " in str(caught.value)
    assert "or give the study another name" in str(caught.value)


def test_more_effort_is_no_change(tmp_path: Path) -> None:
    begun = read_study(write(tmp_path))
    more = read_study(write(tmp_path, STUDY.replace("trainings: 3", "trainings: 9")))
    check_unchanged(more, begun, "here")


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (("trainings: 3", "trainngs: 3"), "unknown key 'trainngs': did you mean 'trainings'?", 15),
        (("trainings: 3", "trainings: 0"), "trainings must be at least 1, not 0", 15),
        (("trainings: 3", "trainings: many"), "trainings must be a whole number, not 'many'", 15),
        (("trainings: 3", "name: other"), "duplicate key 'name': it already stands on line 2", 15),
        (("name: small", "name: ../small"), "name must be up to 64 letters", 2),
        (("[error, energy_pj]", "[error, joy]"), "objectives must be columns out of error", 11),
        (("[error, energy_pj]", "[energy_pj, macs]"), "objectives must be a list with error", 11),
        (("[error, energy_pj]", "[error, quantised_error]"), "a list with a cost such as", 11),
        (("trainings: 3", "rate: 0"), "rate must be in [1e-09, 1e+09], not 0", 15),
        (("trainings: 3", "rate: .inf"), "rate must be in [1e-09, 1e+09], not inf", 15),
        (("matchboxnet-3x1x64", "resnet"), "baselines: there is no published network 'resnet'", 13),
        (("trainings: 3", "machine: tpu9"), "machine: ", 15),
        (("trainings: 3", "seed: -1"), "seed must be from 0 to 2^32 - 1, not -1", 15),
        (("trainings: 3", "device: gpu"), "device must be auto, cpu or cuda, not 'gpu'", 15),
        (
            ("[matchboxnet-3x1x64]", "[matchboxnet-3x1x64, matchboxnet-3x1x64]"),
            "baselines: 'matchboxnet-3x1x64' stands there twice",
            13,
        ),
        (("epochs: 2", "epoch: 2"), "unknown key 'recipe.epoch': did you mean 'epochs'?", 14),
        (("folder: speech", "folder: 3"), "data.folder must be a text, not 3", 4),
        (("kind: words", "kind: word"), "data.task.kind must be one of commands, all_words", 5),
        (("[16, 32]", "{low: 32, high: 16}"), "'channels' is an empty range", 8),
    ],
)
def test_bad_studies_are_refused_with_file_and_line(
    tmp_path: Path, change: tuple[str, str], message: str, line: int
) -> None:
    path = write(tmp_path, STUDY.replace(*change))
    with pytest.raises(InvalidFile) as caught:
        read_study(path)
    assert message in str(caught.value)
    assert str(caught.value).endswith(f"({path}:{line})")


def test_a_missing_study_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.yaml does not exist: check the name"):
        read_study(tmp_path / "nothing.yaml")


def test_a_baseline_may_be_given_by_its_axes(tmp_path: Path) -> None:
    named = "baselines: [matchboxnet-3x1x64]"
    given = "baselines: [matchboxnet-3x1x64, {blocks: 2, channels: 16}]"
    outside, inside = read_study(write(tmp_path, STUDY.replace(named, given))).baselines
    assert outside.values is None and outside.name == "matchboxnet-3x1x64"
    assert inside.values == {"blocks": 2, "policy": "P0", "channels": 16}
    assert inside.name == f"2x1x16, {inside.point.key[:4]}"
    with pytest.raises(InvalidFile, match=r"the space has no design with .*'channels': 17"):
        read_study(write(tmp_path, STUDY.replace(named, given.replace("16}", "17}"))))
    with pytest.raises(InvalidFile, match="there is no axis 'chanels'"):
        read_study(write(tmp_path, STUDY.replace(named, "baselines: [{chanels: 16}]")))


def limits_of(spec: StudySpec) -> dict[str, float]:
    return spec.budget.to_dict()


def test_a_rate_is_a_limit_on_the_latency_too(tmp_path: Path) -> None:
    plain = read_study(write(tmp_path))
    assert plain.rate is None and limits_of(plain) == {"max_trained_parameters": 20000.0}
    fast = read_study(write(tmp_path, STUDY + "rate: 40\n"))
    assert fast.rate == 40
    assert limits_of(fast) == {"max_trained_parameters": 20000.0, "max_latency_us": 25_000.0}
    # A stricter one stays, a wider one gives way.
    for given, kept in ((20_000, 20_000.0), (30_000, 25_000.0)):
        text = STUDY.replace("20000}", f"20000, max_latency_us: {given}}}") + "rate: 40\n"
        assert limits_of(read_study(write(tmp_path, text)))["max_latency_us"] == kept
    # Where the average power matters and nobody says, it is one a second.
    power = STUDY.replace("[error, energy_pj]", "[error, average_power_uw]")
    assert read_study(write(tmp_path, power)).rate == 1.0
    assert limits_of(read_study(write(tmp_path, power)))["max_latency_us"] == 1e6


def test_errors_are_measured_and_all_else_is_known(tmp_path: Path) -> None:
    text = STUDY.replace("[error, energy_pj]", "[quantised_error, sram_bits]")
    text = text.replace("20000}", "20000, max_error: 0.5, max_quantised_error: 0.4}")
    spec = read_study(write(tmp_path, text))
    assert limits_of(spec) == {"max_trained_parameters": 20000.0}
    assert spec.measured_budget.to_dict() == {"max_error": 0.5, "max_quantised_error": 0.4}
    assert spec.measured == "quantised_error" and spec.needs_int8
    assert not read_study(write(tmp_path)).needs_int8
