"""A study that listens: its file, and what is counted, searched, recorded and priced again."""

import dataclasses
import json
from pathlib import Path

import pytest

from cost_models.application import Use
from cost_models.errors import InvalidFile
from dse.columns import STREAM_COLUMNS
from dse.errors import InvalidStudy
from dse.pricing.sweep import Sweep
from dse.report.listening import listening_section
from dse.report.priced import drifted, price_row
from dse.studies.reading import read_study
from dse.studies.resolved import parse_resolved, resolved_yaml
from dse.studies.rows import read_rows
from dse.studies.study import open_study
from dse_cli import main
from search.candidates import Pool
from search.check import check_space
from search.reprice import reprice_study
from search.survey import survey
from tests.search.test_workers import Watcher, run
from tests.studies import open_optuna_study, read

STUDY = """
name: listens
data: {folder: speech, task: {kind: words, words: [a, b], unknown: false, silence: false}}
space: {blocks: 1, channels: [8, 16], stride: [1, 2], prologue_stride: 2, prologue_channels: 16}
"""
LISTENS = "stream: {hop_frames: 2}\nobjectives: [error, listening_power_uw]\n"


def refused(text: str) -> str:
    with pytest.raises(InvalidFile) as error:
        read(STUDY + text)
    return str(error.value).rpartition(" (")[0]


def test_the_section_is_read_and_recorded() -> None:
    spec = read(STUDY + LISTENS)
    assert spec.listening is not None
    assert (spec.listening.hop_frames, spec.listening.frame_ms) == (2, 10.0)
    # A hop is done before the next one is there.
    assert spec.limits == {"max_hop_latency_us": 20_000.0}
    study = open_optuna_study(STUDY + LISTENS)
    again, _ = parse_resolved(resolved_yaml(study.asked, study.begun), "resolved.yaml")
    assert again.resolved() == spec.resolved()
    assert read(STUDY).listening is None


def test_a_stricter_limit_of_a_persons_own_stays() -> None:
    for given, kept in (("5000", 5_000.0), ("50000", 20_000.0)):
        spec = read(STUDY + LISTENS + f"limits: {{max_hop_latency_us: {given}}}\n")
        assert spec.limits == {"max_hop_latency_us": kept}


def test_what_contradicts_a_stream_is_refused() -> None:
    assert refused("objectives: [error, listening_power_uw]\n") == (
        "objectives: listening_power_uw is of a design that listens to a stream: say how many "
        "frames it takes at a time, such as `stream: {hop_frames: 4}`"
    )
    assert refused("limits: {max_wait_us: 9}\n").startswith("limits: wait_us is of a design that")
    assert refused(LISTENS + "rate: 10\n") == (
        "rate: hops a second follow from stream.hop_frames and data.features.hop_ms: leave rate "
        "out, or stream"
    )
    assert refused(LISTENS + "limits: {max_average_power_uw: 9}\n") == (
        "limits: average_power_uw is of single inferences, and this study listens to a stream: use "
        "listening_power_uw"
    )
    assert refused(LISTENS.replace("2}", "129}")) == (
        "stream.hop_frames is 129, longer than the 128 frames of an inference: use a shorter hop, "
        "or more data.features.frames"
    )
    assert "hop_frames must be from 1 to 1,000,000, not 0" in refused(LISTENS.replace("2}", "0}"))


def test_a_limit_in_another_unit_is_understood() -> None:
    assert "did you mean 'max_wait_us', of 300000?" in refused(
        LISTENS + "limits: {max_wait_ms: 300}\n"
    )


def test_designs_that_the_hop_does_not_fit_are_counted() -> None:
    found = check_space(read(STUDY + LISTENS), outputs=2)
    assert (found.executed, found.listen, found.held, found.feasible) == (4, 2, 2, 2)
    assert found.no_hop == (
        "a hop of 2 frames does not fit the network's strides: use a multiple of 4"
    )


def test_a_hop_that_fits_no_design_ends_the_study_before_it_begins() -> None:
    one = STUDY.replace("stride: [1, 2]", "stride: 1")
    spec = read(one + LISTENS.replace("2}", "3}"))
    with pytest.raises(InvalidStudy) as error:
        survey(Sweep(spec.space, spec.make_pricing(2)), seed=1)
    assert str(error.value) == (
        "no point of the space that was found can be listened to: a hop of 3 frames does not fit "
        "the network's strides: use a multiple of 2"
    )


def test_what_is_proposed_listens_and_its_costs_are_known() -> None:
    spec = read(STUDY + LISTENS)
    pool = Pool(Sweep(spec.space, spec.make_pricing(2)), ["listening_power_uw"])
    drawn = pool.draw(1, 0, [], set())
    assert {values["stride"] for values in drawn.values} == {1}
    assert len(drawn) == 2
    assert (drawn.columns["listening_power_uw"] > 0).all()


@pytest.mark.usefixtures("untrained")
def test_a_study_is_searched_reported_and_priced_again(study_file: Path, tmp_path: Path) -> None:
    text = study_file.read_text()
    listens = text + LISTENS.replace("2}", "4}")
    study_file.write_text(listens)
    folder = tmp_path / "study"
    run(study_file, folder, Watcher(), workers=1)
    rows = read_rows(folder)
    trained = [row for row in rows if row.status == "trained"]
    assert len(trained) >= 2
    study = open_study(folder)
    for row in trained:
        point = study.build_point(row)
        assert point is not None
        hop = study.price_hop(point)
        assert hop is not None
        cost, stream = hop
        figures = cost.columns(rate=25)
        assert row.cost["listening_power_uw"] == figures["average_power_uw"]
        assert row.cost["hop_energy_pj"] == figures["energy_pj"]
        assert row.cost["stream_state_bits"] == stream.state_bits
    priced = [each for row in study.frontier if (each := price_row(study, row)) is not None]
    [table] = listening_section(study, priced, Use()).tables
    powers = [
        cells[[column.name for column in table.columns].index("power")] for cells in table.rows
    ]
    assert [power.mid for power in powers] == [
        pytest.approx(row.cost["listening_power_uw"]) for row in study.frontier
    ]
    # A hop that was priced by another model is told, too.
    assert drifted(study, priced[0]) == ()
    other = priced[0].recorded | {"hop_energy_pj": 1.0}
    assert drifted(study, dataclasses.replace(priced[0], recorded=other)) == ("hop_energy_pj",)
    before = [json.dumps(row.to_dict()) for row in rows]

    # Without a stream, and with it again: nothing is lost, as no training depends on it.
    study_file.write_text(text)
    reprice_study(read_study(study_file), study_file.read_text(), folder)
    assert not any(name in row.cost for row in read_rows(folder) for name in STREAM_COLUMNS)
    study_file.write_text(listens)
    reprice_study(read_study(study_file), study_file.read_text(), folder)
    assert [json.dumps(row.to_dict()) for row in read_rows(folder)] == before


def test_check_says_how_many_listen(study_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study_file.write_text(study_file.read_text() + LISTENS.replace("2}", "4}"))
    with pytest.raises(SystemExit) as ended:
        main(["search", str(study_file), "--check"])
    assert ended.value.code == 0
    assert "listen by 4 frames a hop, 25 hops a second" in capsys.readouterr().out
