"""Which kind of speech a folder holds, by what lies in it."""

from pathlib import Path

from dse.errors import InvalidData
from dse.speech.librispeech import ENDING, find_librispeech, scan_librispeech
from dse.speech.manifests import find_manifests, scan_manifests
from dse.speech.sentence_corpus import SentenceCorpus, refuse_no_folder


def holds_sentences(folder: Path) -> bool:
    """Whether a folder has sentences in one of the layouts; words lie in folders of their name."""
    if not folder.is_dir():
        return False
    return find_librispeech(folder) is not None or bool(find_manifests(folder))


def scan_sentences(folder: Path) -> SentenceCorpus:
    """List a folder of sentences: recordings, transcripts, splits. Decodes nothing.

    Raises:
        InvalidData: the folder is missing, has no sentences, or its transcripts cannot be read.
    """
    folder = Path(folder)
    refuse_no_folder(folder)
    root = find_librispeech(folder)
    if root is not None:
        corpus = scan_librispeech(folder, root)
    else:
        manifests = find_manifests(folder)
        if not manifests:
            raise InvalidData(_no_sentences(folder))
        corpus = scan_manifests(folder, manifests)
    if not corpus.sentences:
        raise InvalidData(_none_left(corpus))
    return corpus


def _no_sentences(folder: Path) -> str:
    if any(folder.glob(f"*/*{ENDING}")) or any(folder.glob(f"*/*/*{ENDING}")):
        return (
            f"{folder} is a part of LibriSpeech's layout: name the folder around train-..., "
            "dev-... and test-..."
        )
    return (
        f"the data folder {folder} holds no sentences: neither SPLIT/SPEAKER/CHAPTER/*{ENDING} as "
        "LibriSpeech, nor manifests of JSON lines; make some with `dse data synthesize "
        "--sentences`, or fetch some with `dse data fetch`"
    )


def _none_left(corpus: SentenceCorpus) -> str:
    if corpus.missing:
        return (
            f"{len(corpus.missing):,} transcripts in {corpus.folder} have no recording (the "
            f"first: {corpus.missing[0][1]}), and none has one: unpack the FLAC files beside them"
        )
    return (
        f"no sentences of {corpus.folder} belong to a split ({', '.join(corpus.passed_over[:5])}): "
        "names begin with train, dev or test"
    )
