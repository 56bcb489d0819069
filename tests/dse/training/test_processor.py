"""What a trial of the processor leads to; its outcomes are pretended, but for one real trial."""

import math
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import dse.processor
from dse.processor import ISA, WITHOUT_AMX, Processor, float32_by_onednn, prepare, try_processor


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine of its own for each test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(ISA, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    before = prepare, try_processor, float32_by_onednn
    for remembered in before:
        remembered.cache_clear()
    yield
    for remembered in before:
        remembered.cache_clear()


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend what a trial prints, by what oneDNN is held to; returns the list of trials made."""

    def pretend(printed: dict[str, str]) -> list[str]:
        made: list[str] = []

        def run(*_: Any, env: dict[str, str], **__: Any) -> Any:
            made.append(env.get(ISA, ""))
            return SimpleNamespace(stdout=printed[made[-1]])

        monkeypatch.setattr(dse.processor.subprocess, "run", run)
        return made

    return pretend


def test_units_that_work_and_pay_are_used_as_they_are(trials: Any) -> None:
    made = trials({"": "10.0\n9.0\n2.0\n"})
    found = try_processor()
    assert found == Processor(float32_ms=10.0, onednn_ms=9.0, bfloat16_ms=2.0, isa="")
    assert found.bfloat16_pays
    prepare()
    assert made == [""] and ISA not in os.environ


def test_onednn_is_held_to_what_works_where_its_best_ends_the_process(
    trials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The trial dies after it printed the times in float32.
    made = trials({"": "10.0\n9.0\n", WITHOUT_AMX: "10.0\n9.0\n15.0\n"})
    monkeypatch.setenv(ISA, "")
    monkeypatch.delenv(ISA)
    prepare()
    assert made == ["", WITHOUT_AMX]
    assert os.environ[ISA] == WITHOUT_AMX
    assert not try_processor().bfloat16_pays


def test_products_that_end_every_process_are_never_chosen(trials: Any) -> None:
    trials({"": "10.0\n9.0\n", WITHOUT_AMX: "10.0\n9.0\n"})
    assert try_processor().bfloat16_ms is None and not try_processor().bfloat16_pays
    prepare()
    assert ISA not in os.environ


@pytest.mark.parametrize(
    ("onednn_ms", "bfloat16_ms", "library", "narrow"),
    [
        ("9.0", "5.0", False, True),  # MKL does as well: as torch has it
        ("5.0", "2.0", True, True),  # AMD: MKL uses half of the vectors
        ("5.0", "4.5", True, False),  # bfloat16 is compared with the better library
        ("inf", "5.0", False, True),  # oneDNN cannot, or rounds more
    ],
)
def test_the_faster_library_multiplies_in_float32(
    trials: Any, onednn_ms: str, bfloat16_ms: str, library: bool, narrow: bool
) -> None:
    trials({"": f"10.0\n{onednn_ms}\n{bfloat16_ms}\n"})
    assert float32_by_onednn() is library
    assert try_processor().bfloat16_pays is narrow
    try_processor.cache_clear()
    assert try_processor().onednn_pays is library  # as remembered


def test_an_outcome_is_remembered_and_a_damaged_memory_is_not_believed(
    trials: Any, tmp_path: Path
) -> None:
    made = trials({"": "10.0\n9.0\n2.0\n"})
    first = try_processor()
    try_processor.cache_clear()
    assert try_processor() == first and len(made) == 1
    (path,) = (tmp_path / "ternary-dse").glob("processor-*.json")
    path.write_text("{")
    try_processor.cache_clear()
    assert try_processor() == first and len(made) == 2


def test_a_processor_that_names_no_units_is_not_tried(
    trials: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trials({})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    prepare()
    assert not float32_by_onednn()
    assert made == []


def test_a_trial_that_does_not_end_is_a_failed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> Any:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(dse.processor.subprocess, "run", run)
    assert try_processor().bfloat16_ms is None and not try_processor().onednn_pays


@pytest.mark.soak
def test_a_real_trial_measures_this_machine() -> None:
    found = try_processor()
    assert found.float32_ms > 0 and 0 < found.onednn_ms <= math.inf
    assert found.bfloat16_ms is None or found.bfloat16_ms > 0
