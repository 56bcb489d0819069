"""What may change between runs of one study; all else is refused, with both values."""

import json
from collections.abc import Mapping
from typing import Any

from dse.errors import InvalidStudy
from dse.studies.spec import StudySpec

CHANGEABLE = (
    "trainings",
    "candidates",
    "epochs",
    "hours",
    "patience",
    "device",
    "baselines",
    "controls",
    "warm_start",
    "prior",
    "data_folder",
    "base_folder",
)
"""What may change between runs of one study: how long it searches, and on what it computes."""

PRICED = ("accelerator", "technology", "hardware", "limits", "objectives", "rate", "stream")
"""What may change when a study is priced again (`search.reprice`): no training depends on it."""


def check_unchanged(
    spec: StudySpec, begun: StudySpec, where: str, also: tuple[str, ...] = ()
) -> None:
    """Refuse to resume a study whose file now says something else.

    Args:
        spec: as the file is now.
        begun: as the study was begun.
        where: the place that the study stands in.
        also: keys that may differ, besides `CHANGEABLE`.

    Raises:
        InvalidStudy: names the first setting that differs, with both values.
    """
    before, now = begun.resolved(), spec.resolved()
    for key in now:
        if key in (*CHANGEABLE, *also) or before[key] == now[key]:
            continue
        if key == "space" and isinstance(old := before[key]["family"], dict):
            _check_same_text(old, now[key]["family"], where)
        place, old, new = _first_difference(key, before[key], now[key])
        priced = "price the study again (dse reprice), " if key in PRICED else ""
        raise InvalidStudy(
            f"{where} is a study with {place} {old}, and the file now says {new}: "
            f"undo the change, {priced}or give the study another name"
        )


def _check_same_text(before: Mapping[str, str], now: Any, where: str) -> None:
    """Refuse a person's own family whose file has changed since the study has begun."""
    if isinstance(now, dict) and before["digest"] != now["digest"]:
        raise InvalidStudy(
            f"{where} was begun with another text of {before['file']} (digest "
            f"{before['digest']}, now {now['digest']}): take back the change, which the study's "
            "folder has a copy of, or give the study another name"
        )


def _first_difference(key: str, before: Any, now: Any) -> tuple[str, str, str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*now, *before]:
            if before.get(name) != now.get(name):
                return _first_difference(f"{key}.{name}", before.get(name), now.get(name))
    return key, _short(before), _short(now)


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
