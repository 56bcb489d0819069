"""Dense controls beside the space, with several in training: no kill changes a row.

Nothing is trained: what a training says follows from the design's key, so that a study takes a
moment and can be killed at every step.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from dse.studies.likeness import is_control
from dse.studies.rows import Evaluation
from search import study as searching
from tests.search.test_workers import Watcher, numbers, run
from tests.search.told import crew


@pytest.fixture
def searched(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], list[Evaluation] | None]:
    """Search in a folder until a step is reached; the rows, or None where it was killed."""
    text = study_file.read_text().replace("[P0, P2, P4]", "[P2, P4]")
    text = text.replace("trainings: 4", "trainings: 5\nsampler: random\ncontrols: auto")
    study_file.write_text(text.replace("baselines: [matchboxnet-3x1x64]\n", ""))

    def search(name: str, last: int) -> list[Evaluation] | None:
        count = itertools.count(1)

        def step() -> None:
            if next(count) == last:
                raise KeyboardInterrupt

        monkeypatch.setattr(searching, "open_trainers", crew(step))
        try:
            return run(study_file, tmp_path / name, Watcher()).rows
        except KeyboardInterrupt:
            return None

    return search


def test_a_control_in_training_is_trained_again_in_its_place(
    searched: Callable[[str, int], list[Evaluation] | None],
) -> None:
    whole = searched("whole", 0)
    assert whole is not None
    controls = [row for row in whole if is_control(row)]
    assert len(controls) > 1 and {row.trial for row in controls} == {-1}
    steps = 2 * sum(row.full for row in whole)  # a design is started, and it is finished
    for last in range(steps - 2, steps + 1):
        name = f"killed at {last}"
        assert searched(name, last) is None
        again = searched(name, 0)
        assert again is not None
        assert numbers(again) == numbers(whole), name
