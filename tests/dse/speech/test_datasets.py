import hashlib
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dse.errors import InvalidData
from dse.speech.inspection import inspect
from dse.speech.speech_commands import SPLITS, draw, scan, which_split
from dse.speech.task import COMMANDS, SILENCE, UNKNOWN, Task


@cache
def speakers_of(split: str) -> list[str]:
    names = (f"{index:08x}" for index in range(1000))
    return [name for name in names if which_split(f"{name}_nohash_0.wav") == split]


def speaker_of(split: str, number: int = 0) -> str:
    """The `number`-th name that falls into `split`."""
    return speakers_of(split)[number]


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def corpus_of(folder: Path, words: list[str], clips: int = 1) -> Path:
    for split in SPLITS:
        for number in range(clips):
            name = speaker_of(split, number)
            touch(folder, *(f"{word}/{name}_nohash_0.wav" for word in words))
    return folder


def share(name: str) -> float:
    """The published rule again, in the words of the archive's README."""
    number = int(hashlib.sha1(name.encode()).hexdigest(), 16)
    return (number % (2**27 - 1 + 1)) * (100.0 / (2**27 - 1))


def test_hash_rule_cuts_at_10_and_20_percent():
    seen = Counter()
    for index in range(3000):
        name = f"{index:08x}"
        percent = share(name)
        expected = "validation" if percent < 10 else "testing" if percent < 20 else "training"
        assert which_split(f"yes/{name}_nohash_{index % 7}.wav") == expected
        seen[expected] += 1
    assert seen["validation"] == pytest.approx(300, abs=60)
    assert seen["testing"] == pytest.approx(300, abs=60)


def test_hash_rule_knows_published_files():
    # The first lines of the official lists of v0.01.
    assert which_split("bed/026290a7_nohash_0.wav") == "validation"
    assert which_split("bed/0c40e715_nohash_0.wav") == "testing"


def test_hash_rule_ignores_word_number_and_ending():
    assert (
        len(
            {
                which_split(f"{word}/5588c7e6_nohash_{n}.{ending}")
                for word in ("yes", "no")
                for n in range(5)
                for ending in ("wav", "flac")
            }
        )
        == 1
    )


def test_a_name_without_the_mark_is_hashed_as_the_wav_file():
    for index in range(50):
        percent = share(f"clip{index}.wav")
        expected = "validation" if percent < 10 else "testing" if percent < 20 else "training"
        assert which_split(f"clip{index}.flac") == which_split(f"clip{index}.WAV") == expected


def test_scan_lists_words_clips_and_noises(tmp_path):
    touch(
        tmp_path,
        "yes/a_nohash_0.wav",
        "yes/b_nohash_0.FLAC",
        "yes/notes.txt",
        "yes/._b_nohash_0.wav",
        "no/c.wav",
        "empty/readme.md",
        ".git/x.wav",
        "_unknown_/d_nohash_0.wav",
        "_background_noise_/hum.flac",
        "_background_noise_/README.md",
        "README.md",
    )
    corpus = scan(tmp_path)
    assert [clip.path for clip in corpus.clips] == [
        "no/c.wav",
        "yes/a_nohash_0.wav",
        "yes/b_nohash_0.FLAC",
    ]
    assert [clip.speaker for clip in corpus.clips] == [None, "a", "b"]
    assert corpus.words == ("no", "yes")
    assert corpus.noises == ("_background_noise_/hum.flac",)
    assert (corpus.split_by, corpus.listed_but_missing, corpus.doubles) == ("hash", 0, 0)


def test_a_wav_hides_the_flac_of_its_name(tmp_path):
    touch(tmp_path, "yes/a_nohash_0.wav", "yes/a_nohash_0.flac", "no/b.flac")
    corpus = scan(tmp_path)
    assert [clip.path for clip in corpus.clips] == ["no/b.flac", "yes/a_nohash_0.wav"]
    assert corpus.doubles == 1


def test_lists_win_over_the_hash_and_may_name_another_ending(tmp_path):
    touch(tmp_path, "yes/a_nohash_0.flac", "yes/b_nohash_0.flac", "yes/c_nohash_0.flac")
    (tmp_path / "validation_list.txt").write_text("yes/a_nohash_0.wav\n\nyes/gone.wav\n")
    (tmp_path / "testing_list.txt").write_text("\ufeff./yes\\b_nohash_0.flac\r\n")
    corpus = scan(tmp_path)
    assert [clip.split for clip in corpus.clips] == ["validation", "testing", "training"]
    assert (corpus.split_by, corpus.listed_but_missing) == ("lists", 1)


def test_one_list_without_the_other_is_refused(tmp_path):
    touch(tmp_path, "yes/a.wav", "testing_list.txt")
    with pytest.raises(InvalidData) as caught:
        scan(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} has testing_list.txt but not validation_list.txt: add it, or remove "
        "testing_list.txt to split by the published hash rule"
    )


def test_a_clip_in_both_lists_is_refused(tmp_path):
    touch(tmp_path, "yes/a.wav")
    (tmp_path / "validation_list.txt").write_text("yes/a.wav\n")
    (tmp_path / "testing_list.txt").write_text("yes/b.wav\nyes/a.wav\n")
    with pytest.raises(InvalidData) as caught:
        scan(tmp_path)
    assert str(caught.value) == (
        "yes/a stands in both lists, but a clip belongs to one split: remove it from one "
        f"({tmp_path / 'testing_list.txt'}:2)"
    )


def test_a_list_that_is_no_text_is_refused(tmp_path):
    touch(tmp_path, "yes/a.wav", "testing_list.txt")
    (tmp_path / "validation_list.txt").write_bytes(b"yes/\xff.wav")
    with pytest.raises(InvalidData, match=r"validation_list.txt is not UTF-8 text \(byte 4\)"):
        scan(tmp_path)


def test_folders_that_hold_no_corpus_are_refused(tmp_path):
    with pytest.raises(InvalidData) as caught:
        scan(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"the data folder {tmp_path / 'nowhere'} does not exist: check the name, or make a corpus "
        f"there with `dse data synthesize {tmp_path / 'nowhere'}`"
    )
    with pytest.raises(InvalidData, match="holds no WAV or FLAC file in a sub-folder: it needs"):
        scan(tmp_path)
    touch(tmp_path, "speech/yes/a.wav", "file")
    with pytest.raises(InvalidData) as caught:
        scan(tmp_path)
    assert str(caught.value).endswith(f"in a sub-folder: did you mean {tmp_path / 'speech'}?")
    with pytest.raises(InvalidData, match="is a file: name the folder"):
        scan(tmp_path / "file")


def test_commands_have_unknown_and_silence(tmp_path):
    corpus = scan(corpus_of(tmp_path, [*COMMANDS, "cat", "dog"], clips=4))
    drawing = draw(corpus, Task())
    assert drawing.classes == (*COMMANDS, UNKNOWN, SILENCE)
    for split in SPLITS:
        counts = Counter(drawing.classes[example.label] for example in drawing.split(split))
        # 10 words x 4 clips, and a tenth of these 40 for each of the other two.
        assert counts == {**dict.fromkeys(COMMANDS, 4), UNKNOWN: 4, SILENCE: 4}
        for example in drawing.split(split):
            word = drawing.classes[example.label]
            if word == SILENCE:
                assert example.clip is None and example.name.startswith(f"_silence_/{split}/")
            elif word == UNKNOWN:
                assert example.clip is not None and example.clip.word in ("cat", "dog")
            else:
                assert example.clip is not None and example.clip.word == word


def test_all_words_and_chosen_words(tmp_path):
    corpus = scan(corpus_of(tmp_path, ["tree", "cat", "dog"], clips=2))
    every = draw(corpus, Task(kind="all_words", silence=False))
    assert every.classes == ("cat", "dog", "tree")
    assert [len(every.split(split)) for split in SPLITS] == [6, 6, 6]
    chosen = draw(corpus, Task(kind="words", words=("tree", "cat"), silence=False, unknown=False))
    assert chosen.classes == ("tree", "cat")
    assert [len(chosen.split(split)) for split in SPLITS] == [4, 4, 4]


def test_unknown_clips_depend_on_the_seed_but_not_on_other_files(tmp_path):
    folder = corpus_of(tmp_path, ["yes", "no", "cat", "dog"], clips=20)

    def unknown(seed: int) -> set[str]:
        task = Task(kind="words", words=("yes", "no"), silence=False, seed=seed)
        drawing = draw(scan(folder), task)
        return {example.name for example in drawing.training if example.label == 2}

    first = unknown(1)
    assert len(first) == 4  # a tenth of 2 words x 20 clips
    assert first == unknown(1) != unknown(2)
    gone = next(iter(first))
    (folder / gone).unlink()
    assert len(first & unknown(1)) == 3  # one other clip takes the place of the one that is gone


def test_there_are_at_most_as_many_unknown_clips_as_the_folder_has(tmp_path):
    corpus = scan(corpus_of(tmp_path, ["yes", "no", "cat"], clips=2))
    task = Task(kind="words", words=("yes", "no"), unknown_fraction=1.0, silence=False)
    assert [len(draw(corpus, task).split(split)) for split in SPLITS] == [6, 6, 6]


def test_a_chosen_word_that_is_not_there_is_refused_with_a_near_match(tmp_path):
    corpus = scan(corpus_of(tmp_path, ["yes", "house"]))
    with pytest.raises(InvalidData) as caught:
        draw(corpus, Task(kind="words", words=("yes", "hause")))
    assert str(caught.value) == (
        f"word 'hause' has no clips in {tmp_path}: did you mean 'house'? words there are house, yes"
    )


def test_a_class_without_clips_in_a_split_is_refused(tmp_path):
    folder = corpus_of(tmp_path, ["yes", "no"])
    (folder / f"no/{speaker_of('testing')}_nohash_0.wav").unlink()
    with pytest.raises(InvalidData) as caught:
        draw(scan(folder), Task(kind="all_words"))
    assert str(caught.value) == (
        f"class 'no' has 0 clips in the testing split of {folder}, at least 1 is needed: add clips "
        "of more speakers, name some in the lists, or leave the word out"
    )


def test_no_other_words_for_unknown_is_refused(tmp_path):
    corpus = scan(corpus_of(tmp_path, ["yes", "no"]))
    with pytest.raises(InvalidData, match="class '_unknown_' has 0 clips in the training split"):
        draw(corpus, Task(kind="words", words=("yes", "no")))


def test_inspect_decodes_everything(tmp_path):
    random = np.random.default_rng(1)
    folder = corpus_of(tmp_path, ["yes", "no"])
    for path in folder.glob("*/*.wav"):
        soundfile.write(path, random.uniform(-0.1, 0.1, 8000), 16_000)
    bad = f"no/{speaker_of('testing')}_nohash_0.wav"
    (folder / bad).write_bytes(b"RIFF and then nothing")
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_/hum.flac", np.zeros(32_000), 16_000)
    calls = []
    found = inspect(folder, lambda *progress: calls.append(progress))
    assert [(row.word, row.clips, row.speakers) for row in found.words] == [
        ("no", {"training": 1, "validation": 1, "testing": 1}, 3),
        ("yes", {"training": 1, "validation": 1, "testing": 1}, 3),
    ]
    assert found.speakers == {"training": 1, "validation": 1, "testing": 1}
    assert found.shared_speakers == 0
    assert found.durations_s == (0.5, 0.5, 0.5)
    assert found.total_s == 2.5
    assert found.sample_rates == {16_000: 5}
    assert found.formats == {"WAV PCM_16": 5}
    assert found.noises == {"_background_noise_/hum.flac": 2.0}
    assert list(found.unreadable) == [bad]
    assert calls[-1] == ("inspect", 6, 7)


def test_synthetic_speech_is_a_corpus(synthetic_speech):
    corpus = scan(synthetic_speech)
    assert corpus.words == ("cat", "go", "no", "stop", "tree", "yes")
    # 14, 3 and 3 of 20 speakers, 6 words x 2 clips each
    assert Counter(clip.split for clip in corpus.clips) == {
        "training": 168,
        "validation": 36,
        "testing": 36,
    }
    assert len(corpus.noises) == 6


@pytest.mark.real_speech
def test_recorded_speech_has_the_counts_of_its_readme(real_speech):
    corpus = scan(real_speech / "speech_commands")
    assert len(corpus.clips) == 2759
    assert len({clip.speaker for clip in corpus.clips}) == 203
    assert Counter(clip.split for clip in corpus.clips) == {
        "training": 1823,
        "validation": 429,
        "testing": 507,
    }
    assert (corpus.split_by, corpus.listed_but_missing) == ("lists", 0)


@pytest.mark.real_speech
def test_hash_rule_reproduces_the_official_lists(real_speech):
    checked = 0
    for split in ("validation", "testing"):
        path = real_speech / "speech_commands" / f"official_v0.01_{split}_list.txt"
        for line in path.read_text().split():
            assert which_split(line) == split, line
            checked += 1
    assert checked == 13_633
