"""A worker that is killed between its last word and the end of its trial leaves nothing running."""

import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from search.cluster.queue import FAILED, RELEASED, RESULT, Entry, Job, JobLost, Queue

JOB = Job(key="k", design={}, until=9, code="1", data_key="d", recipe_key="r", seed=1)
PLACE = {"host": "here", "pid": 1}
RESULT_OF = {"validation_error": 0.25}


def put(queue: Queue, job: Job = JOB) -> Entry:
    entry = queue.put(job, "design")
    assert queue.claim(entry, PLACE) and not queue.claim(entry, PLACE)
    return entry


def only(queue: Queue) -> Entry:
    (entry,) = queue.entries()
    return entry


@pytest.mark.parametrize(
    ("key", "word", "state"),
    [
        (RESULT, RESULT_OF, TrialState.COMPLETE),
        (FAILED, "the loss is nan", TrialState.FAIL),
        (RELEASED, "its worker was stopped", TrialState.FAIL),
    ],
)
def test_what_a_killed_worker_said_ends_its_training(
    key: str, word: object, state: TrialState
) -> None:
    queue = Queue(InMemoryStorage(), "study")
    entry = put(queue)
    queue.storage.set_trial_system_attr(entry.trial_id, key, word)  # and then it is killed
    found = only(queue)
    assert found.state == TrialState.RUNNING and (found.decided or found.released)
    queue.settle(found)
    settled = only(queue)
    assert settled.state == state
    assert queue.storage.get_trial(entry.trial_id).values == ([0.25] if key == RESULT else None)
    queue.settle(settled)  # again does nothing
    with pytest.raises(JobLost):  # a worker that was only slow finds out, and harms nothing
        queue.finish(entry, RESULT_OF)


def test_a_training_that_goes_on_is_not_settled() -> None:
    queue = Queue(InMemoryStorage(), "study")
    put(queue)
    queue.settle(only(queue))
    assert only(queue).state == TrialState.RUNNING
