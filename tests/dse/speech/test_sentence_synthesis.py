"""Synthetic sentences: a grammar, and a corpus in which no voice and no text is in two splits."""

import json
import shutil
from collections import Counter

import numpy as np
import pytest
import soundfile

from dse.errors import InvalidData, InvalidField
from dse.speech.grammar import draw_sentence
from dse.speech.sentence_folders import scan_sentences
from dse.speech.sentence_inspection import inspect_sentences
from dse.speech.sentence_synthesis import (
    SentenceSynthesis,
    record_sentence,
    sentence_recordings,
    split_of_text,
    synthesize_sentences,
)
from dse.speech.synthesis import Synthesis
from dse.speech.synthesis_work import prepare
from dse.speech.transcription import ENGLISH

FOUR = SentenceSynthesis(speakers=4, sentences_each=8)


def test_the_grammar_uses_the_whole_vocabulary_and_nothing_else():
    random = np.random.default_rng(1)
    texts = [draw_sentence(random) for _ in range(3000)]
    assert set("".join(texts)) == set(ENGLISH)
    assert all(text == " ".join(text.split()) for text in texts)
    # 82,944 sentences of the first form are 70 % of those drawn: few come twice.
    assert len(set(texts)) > 2700


def test_texts_are_parted_as_speakers_are():
    random = np.random.default_rng(2)
    parts = Counter(split_of_text(draw_sentence(random)) for _ in range(3000))
    # 15 %, within four deviations of a binomial: sqrt(0.15 * 0.85 / 3000) = 0.0065.
    for split in ("validation", "testing"):
        assert abs(parts[split] / 3000 - 0.15) < 0.026


def test_no_voice_and_no_text_is_in_two_splits():
    settings = SentenceSynthesis(speakers=40, sentences_each=3)
    voices: dict[str, set[str]] = {}
    texts: dict[str, set[str]] = {}
    for index in range(settings.speakers):
        for made in sentence_recordings(settings, index):
            split = made.path.split("/")[0]
            voices.setdefault(split, set()).add(made.utterance.voice.split("+")[1])
            texts.setdefault(split, set()).add(made.utterance.text)
    assert [len(voices[split]) for split in ("train", "dev", "test")] == [28, 6, 6]
    for first, second in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not voices[first] & voices[second] and not texts[first] & texts[second]


def test_a_speaker_says_the_same_in_a_larger_corpus():
    larger = SentenceSynthesis(speakers=9, sentences_each=12)
    assert sentence_recordings(larger, 1)[:8] == sentence_recordings(FOUR, 1)
    other = SentenceSynthesis(speakers=4, sentences_each=8, seed=2)
    assert sentence_recordings(other, 1) != sentence_recordings(FOUR, 1)


def test_a_recording_is_the_sentence_between_silences():
    spoken = (np.sin(np.arange(22_050) / 8) * 20_000).astype(np.int16)  # a second
    sound = record_sentence(spoken, np.random.default_rng(3))
    assert 16_000 * 1.4 < len(sound) < 16_000 * 2
    # Noise is 15 dB or more below the sentence, and echoes come after it.
    middle, beginning = sound[8_000:20_000].astype(float), sound[:3_000].astype(float)
    assert np.sqrt(np.mean(middle**2)) > 10 ** (15 / 20) * np.sqrt(np.mean(beginning**2))


def test_the_corpus_is_one_of_sentences(synthetic_sentences):
    found = inspect_sentences(synthetic_sentences)
    assert [each.used for each in found.splits.values()] == [16, 8, 8]
    assert [each.speakers for each in found.splits.values()] == [2, 1, 1]
    assert found.skipped == () and found.findings == ()
    assert found.formats == {"FLAC PCM_16": 32} and found.sample_rates == {16_000: 32}
    shortest, _, longest = found.splits["training"].durations_s
    assert 1 < shortest < longest < 8
    corpus = scan_sentences(synthetic_sentences)
    planned = {
        made.path: made.utterance.text.upper()
        for index in range(4)
        for made in sentence_recordings(FOUR, index)
    }
    assert {each.path: each.text for each in corpus.sentences} == planned
    assert "Nobody spoke these sentences" in (synthetic_sentences / "README.md").read_text()
    assert json.loads((synthetic_sentences / "synthesis.json").read_text())["complete"]


def test_an_interrupted_corpus_is_finished_with_the_same_samples(synthetic_sentences, tmp_path):
    folder = tmp_path / "speech"
    shutil.copytree(synthetic_sentences, folder)
    missing = folder / "dev/1001/1/1001-1-0003.flac"
    kept, _ = soundfile.read(missing, dtype="int16")
    missing.unlink()
    (folder / "dev/1001/1/1001-1.trans.txt").unlink()
    marker = folder / "synthesis.json"
    marker.write_text(marker.read_text().replace('"complete": true', '"complete": false'))
    synthesize_sentences(folder, FOUR, jobs=2)
    assert np.array_equal(soundfile.read(missing, dtype="int16")[0], kept)
    assert scan_sentences(folder).counts == {"training": 16, "validation": 8, "testing": 8}


def test_other_corpora_are_refused(synthetic_sentences):
    other = SentenceSynthesis(speakers=4, sentences_each=8, seed=2)
    with pytest.raises(InvalidData, match="made with seed 1, not 2: give the same options"):
        synthesize_sentences(synthetic_sentences, other)
    with pytest.raises(InvalidData, match="holds a corpus of sentences, not of words"):
        prepare(synthetic_sentences, Synthesis())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"speakers": 2}, "speakers must be from 3 to 76"),
        ({"speakers": 77}, "speakers must be from 3 to 76"),
        ({"sentences_each": 0}, "sentences_each must be from 1 to 1,000"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_says_what_makes_no_corpus(wrong, says):
    with pytest.raises(InvalidField, match=says):
        SentenceSynthesis(**wrong)
