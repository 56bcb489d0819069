"""Spoken words for tests: a small synthetic corpus, and recorded speech where there is some."""

import os
from pathlib import Path

import pytest

# Before anything loads torch. The networks of the tests are so small that two threads gain nothing,
# and on a busy machine they wait for each other: 208 s against 28 s for the tests of training.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def synthetic_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six words x 40 clips by 20 made-up speakers, and six noises: made once, a few seconds.

    Do not write into it: all tests share it.
    """
    pytest.importorskip("espeakng_loader", reason="pip install 'ternary-dse[synthesis]'")
    from dse.datasets.synthesis import Synthesis, synthesize

    folder = tmp_path_factory.mktemp("data") / "synthetic_speech"
    settings = Synthesis(
        words=("yes", "no", "go", "stop", "cat", "tree"), speakers=20, clips_per_word=40
    )
    synthesize(folder, settings, jobs=min(2, os.cpu_count() or 1))
    return folder


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """A folder with recorded speech in `speech_commands/`; mark tests with `real_speech`, too."""
    root = os.environ.get("DSE_SPEECH_DATA")
    if not root:
        pytest.skip("DSE_SPEECH_DATA names no folder")
    folder = Path(root)
    if not (folder / "speech_commands").is_dir():
        pytest.fail(f"DSE_SPEECH_DATA={root} has no folder speech_commands")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `real_speech` where no folder is named."""
    if not os.environ.get("DSE_SPEECH_DATA"):
        skip = pytest.mark.skip(reason="DSE_SPEECH_DATA names no folder")
        for item in items:
            if item.get_closest_marker("real_speech"):
                item.add_marker(skip)
