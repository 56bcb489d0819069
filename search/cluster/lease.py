"""One coordinator at a time: a trial of the queue is the lease, its number decides who holds it.

Numbers of trials are given one by one by every storage, and a trial that has ended cannot be
written to any more. So who has the lowest open number holds the lease; a holder that does not beat
is ended by the next one; and one that was only asleep finds out at its next beat.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from dse.errors import InvalidStudy
from search.cluster.whereabouts import shown, surely_dead, whereabouts

HOLDER = "dse:coordinator"
BEAT = "dse:beat"

BEAT_S = 5.0
EXPIRES_S = 30.0
"""A holder that did not beat for so long is dead."""


@contextmanager
def leased(
    storage: BaseStorage,
    queue_id: int,
    what: str,
    *,
    beat_s: float = BEAT_S,
    expires_s: float = EXPIRES_S,
    waiting: Callable[[str], None] = lambda text: None,
) -> Iterator[Callable[[], None]]:
    """Hold the lease; yields a check that raises once it is lost.

    Args:
        storage: of the study.
        queue_id: Optuna study whose trials are leases, among others.
        what: is coordinated, for messages.
        beat_s: a sign of life is given so often.
        expires_s: a holder without one for so long is dead.
        waiting: told that an earlier holder is looked at.

    Raises:
        InvalidStudy: another process holds the lease.
    """
    mine = optuna.trial.create_trial(
        state=TrialState.RUNNING,
        user_attrs={"kind": "coordinator", **_public(whereabouts())},
        system_attrs={HOLDER: whereabouts(), "dse:nonce": time.monotonic_ns()},
    )
    own_id = storage.create_new_trial(queue_id, mine)
    stop = threading.Event()
    lost: list[str] = []

    def beat() -> None:
        count = 0
        while not stop.wait(beat_s):
            count += 1
            try:
                storage.set_trial_system_attr(own_id, BEAT, count)
            except Exception as error:
                lost.append(
                    f"{what} is coordinated by another process now, which took this one for dead"
                    if isinstance(error, optuna.exceptions.UpdateFinishedTrialError)
                    else str(error)
                )
                return

    def check() -> None:
        if lost:
            raise InvalidStudy(f"{lost[0]}: nothing is lost, and this search has stopped")

    thread = threading.Thread(target=beat, daemon=True, name="dse-lease")
    thread.start()
    try:
        _outlive_earlier(storage, queue_id, own_id, what, expires_s, waiting)
        yield check
    finally:
        stop.set()
        thread.join(timeout=beat_s + 1)
        _end(storage, own_id)


def _outlive_earlier(
    storage: BaseStorage,
    queue_id: int,
    own_id: int,
    what: str,
    expires_s: float,
    waiting: Callable[[str], None],
) -> None:
    """Wait until those before us are dead, or give up because one lives."""
    seen: dict[int, tuple[Any, float]] = {}
    while True:
        earlier = [t for t in _open_leases(storage, queue_id) if t._trial_id < own_id]
        for trial in earlier:
            place = trial.system_attrs[HOLDER]
            beat, now = trial.system_attrs.get(BEAT), time.monotonic()
            before, since = seen.setdefault(trial.number, (beat, now))
            if surely_dead(place) or now - since > expires_s:
                _end(storage, trial._trial_id)
            elif beat != before:
                raise InvalidStudy(
                    f"{what} is being searched by {shown(place)}: wait for it, stop it, or give "
                    "this study another name"
                )
            elif now == since:
                waiting(f"{shown(place)} may hold this study: waiting up to {expires_s:.0f} s")
        if not earlier:
            return
        time.sleep(min(0.2, expires_s / 10))


def _open_leases(storage: BaseStorage, queue_id: int) -> list[FrozenTrial]:
    trials = storage.get_all_trials(queue_id, deepcopy=False, states=(TrialState.RUNNING,))
    return [trial for trial in trials if HOLDER in trial.system_attrs]


def _end(storage: BaseStorage, trial_id: int) -> None:
    # At once or not at all: who ends because the storage is gone shall not wait for it again.
    storage = getattr(storage, "inner", storage)
    try:
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except Exception:
        # It is ended already, or the storage is gone: then the lease runs out by itself.
        return


def _public(place: dict[str, Any]) -> dict[str, Any]:
    return {"host": place["host"], "pid": place["pid"]}
