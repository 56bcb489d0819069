import io
import time

from rich.console import Console

from dse.columns import COST_COLUMNS
from dse.studies.rows import Evaluation
from search.progress import TerminalProgress
from search.state import State


def row(**fields: object) -> Evaluation:
    cost = dict.fromkeys(COST_COLUMNS, 1000.0) | {"trained_parameters": 1000}
    known = {"trial": 3, "source": "search", "name": "1x1x8", "cost": cost, "error": 0.5}
    return Evaluation(**(known | fields))  # type: ignore[arg-type]


def printed(
    item: Evaluation, trained: int, here: int, seconds: float, measured: str = "error"
) -> str:
    """What is printed of an evaluation when `here` of 4 designs were trained in so many seconds."""
    out = io.StringIO()
    progress = TerminalProgress(Console(file=out, width=200, highlight=False), measured)
    progress.begun = time.monotonic() - seconds
    progress.done_before = (trained - here) / 4
    state = State(
        trained=trained,
        trainings=4,
        candidates=5,
        max_candidates=9,
        frontier=1,
        hypervolume=0.5,
        done=trained / 4,
    )
    progress.evaluated(item, state)
    return out.getvalue()


def test_the_time_left_is_the_mean_of_the_trainings_times_what_is_left() -> None:
    trained = row(status="trained")
    assert "trained 2/4, frontier 1, hypervolume 0.500, about 3.0 min left" in printed(
        trained, 2, here=2, seconds=180
    )
    assert "about 2 s left" in printed(trained, 2, here=1, seconds=1)
    assert printed(trained, 4, here=1, seconds=1).endswith("hypervolume 0.500, done\n")


def test_a_reason_with_brackets_is_no_markup() -> None:
    failed = row(status="failed", error=None, reason="no loss in /my [bold] folder")
    assert "1x1x8: failed: no loss in /my [bold] folder" in printed(failed, 2, here=0, seconds=0)
    named = row(status="trained", name="[red]1x1x8[/red]")
    assert "[red]1x1x8[/red]: error 50.0 %, " in printed(named, 2, here=0, seconds=0)


def test_the_error_in_whole_numbers_stands_beside_that_in_floats() -> None:
    looked_at = row(status="trained", quantised_error=0.52)
    assert ": error 50.0 % (in whole numbers 52.0 %), " in printed(looked_at, 2, here=0, seconds=0)
    minimised = printed(looked_at, 2, here=0, seconds=0, measured="quantised_error")
    assert ": error in whole numbers 52.0 % (in floats 50.0 %), " in minimised


def test_a_design_that_waits_at_a_rung_says_after_how_many_epochs() -> None:
    stopped = row(status="stopped", epochs=6)
    assert "1x1x8 after 6 epochs: error 50.0 %" in printed(stopped, 1, here=1, seconds=9)
