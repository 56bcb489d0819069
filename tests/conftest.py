"""Spoken words for tests: a small synthetic corpus, and recorded speech where there is some."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.search.postgres import Postgres

# Before anything loads torch. The networks of the tests are so small that two threads gain nothing,
# and on a busy machine they wait for each other: 208 s against 28 s for the tests of training.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def synthetic_speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six words x 40 clips by 20 made-up speakers, and six noises: ten seconds, once a run.

    Do not write into it: all tests share it, those of the other processes, too.
    """
    pytest.importorskip("espeakng_loader", reason="pip install 'ternary-dse[synthesis]'")
    from dse.speech.synthesis import Synthesis, synthesize

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all processes
    settings = Synthesis(
        words=("yes", "no", "go", "stop", "cat", "tree"), speakers=20, clips_per_word=40
    )
    with (root / "synthetic_speech.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait for the one that makes it
        if not (root / "synthetic_speech").exists():
            synthesize(root / "making", settings, jobs=min(2, os.cpu_count() or 1))
            (root / "making").rename(root / "synthetic_speech")
    return root / "synthetic_speech"


@pytest.fixture(scope="session")
def synthetic_sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight sentences by each of four made-up speakers, two of them to train on: once a run.

    Do not write into it: all tests share it, those of the other processes, too.
    """
    pytest.importorskip("espeakng_loader", reason="pip install 'ternary-dse[synthesis]'")
    from dse.speech.sentence_synthesis import SentenceSynthesis, synthesize_sentences

    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # of all processes
    with (root / "synthetic_sentences.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the others wait for the one that makes it
        if not (root / "synthetic_sentences").exists():
            settings = SentenceSynthesis(speakers=4, sentences_each=8)
            synthesize_sentences(root / "making_sentences", settings)
            (root / "making_sentences").rename(root / "synthetic_sentences")
    return root / "synthetic_sentences"


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


LONGEST = (
    "tests/search/test_ray.py",
    "tests/dashboard/test_browser.py",
    "tests/dse/rtl/test_rtl.py",
    "tests/dashboard/test_app.py",
    "tests/test_tour.py",
    "tests/search/test_study.py",
    "tests/dse/interchange/test_exported_tools.py",
    "tests/dse/report/test_formats.py",
    "tests/search/test_places.py",
    "tests/search/test_kills.py",
    "tests/search/test_workers.py",
    "tests/search/test_study_effort.py",
    "tests/end_to_end/test_search_on_speech.py",
    "tests/search/test_known_cost.py",
    "tests/dse/rtl/test_rtl_lint.py",
    "tests/dse/pricing/test_sweep.py",
    "tests/cost_models/test_properties.py",
    "tests/search/test_nothing_lost.py",
    "tests/search/test_moved.py",
)
"""Files that take longest, the longest first: of two processes, none is to begin one last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; skip tests marked `real_speech` where no folder is named."""
    root = Path(__file__).parents[1]
    rank = {root / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))
    if not os.environ.get("DSE_SPEECH_DATA"):
        skip = pytest.mark.skip(reason="DSE_SPEECH_DATA names no folder")
        for item in items:
            if item.get_closest_marker("real_speech"):
                item.add_marker(skip)


WORDS = {"left": 300.0, "right": 700.0, "stop": 1500.0}


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that is quick to make and to learn: each word is a tone in noise."""
    return write_tones(tmp_path_factory.mktemp("tones"))


def write_tones(folder: Path) -> Path:
    """Write the corpus of `tones` into a folder that is there."""
    rng = np.random.default_rng(0)
    time = np.arange(16_000) / 16_000
    for word, frequency_hz in WORDS.items():
        (folder / word).mkdir()
        for speaker in range(40):
            tone = np.sin(2 * np.pi * frequency_hz * (1 + 0.05 * rng.normal()) * time)
            clip = 0.1 * tone + 0.02 * rng.normal(size=16_000)
            soundfile.write(folder / word / f"{speaker:08x}_nohash_0.wav", clip, 16_000)
    names = [f"{word}/{speaker:08x}_nohash_0.wav" for word in WORDS for speaker in range(40)]
    for split, speakers in (("validation", range(0, 8)), ("testing", range(8, 16))):
        listed = [name for name in names if int(name.split("/")[1][:8], 16) in speakers]
        (folder / f"{split}_list.txt").write_text("\n".join(listed) + "\n")
    return folder


STUDY = """
name: tones
data:
  folder: {data}
  task: {{kind: words, words: [left, right, stop], unknown: false, silence: false}}
  features: {{variants: 1}}
space:
  blocks: {{low: 1, high: 2}}
  policy: [P0, P2, P4]
  density: [0.25, 0.5]
  channels: {{low: 8, high: 32, step: 8}}
  prologue_channels: [8, 16]
  epilogue_channels: 16
  final_channels: [16, 32]
  prologue_stride: 4
  kernel: 5
  prologue_kernel: 5
  epilogue_kernel: 5
recipe: {{epochs: {epochs}, batch_size: 32}}
limits: {{max_trained_parameters: 2500}}
baselines: [matchboxnet-3x1x64]
trainings: {trainings}
"""


@pytest.fixture(scope="session")
def tones_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the features of the tones are kept: the first test that wants them computes them."""
    return tmp_path_factory.mktemp("tones_cache")


@pytest.fixture
def study_file(tones: Path, tones_cache: Path, tmp_path: Path) -> Path:
    """A study that trains four designs in seconds; the `cache` beside it is everyone's."""
    return write_study_file(tmp_path, tones, tones_cache)


def write_study_file(folder: Path, tones: Path, cache: Path) -> Path:
    """Write `tones.yaml` into a folder, and a link to the cache beside it."""
    (folder / "cache").symlink_to(cache, target_is_directory=True)
    path = folder / "tones.yaml"
    path.write_text(STUDY.format(data=tones, trainings=4, epochs=2))
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; tests make a database each."""
    server = Postgres()
    yield server
    server.remove()


@pytest.fixture
def database(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """The URL of a database of the test's own, its password in it."""
    return postgres.database(f"test{abs(hash(request.node.nodeid))}")
