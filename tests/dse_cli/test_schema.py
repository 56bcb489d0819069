"""The schemas say what the readers do (tests/test_reference.py holds the tables)."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from cost_models import InvalidFile, load_accelerator
from cost_models.library import DATA
from cost_models.strict_yaml import dump_yaml, read_yaml
from dse.design.published import published
from dse.speech.task import FeatureSpec
from dse.speech.transcription import SENTENCE_FEATURES
from dse.studies.reading import read_study
from dse.training.recipe import RECIPES
from dse_cli import group
from dse_cli.schema import KINDS, json_schema

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


def written(kind: str, form: str) -> str:
    result = CliRunner().invoke(group, ["schema", kind, "--format", form])
    assert result.exit_code == 0
    return result.output


def test_a_schema_is_one(kind):
    schema = json.loads(written(kind, "json"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


def files() -> list[tuple[str, object]]:
    found = [("study", read_yaml(path).plain()) for path in sorted(ROOT.glob("examples/*.yaml"))]
    for folder, kind in (("accelerators", "accelerator"), ("technologies", "technology")):
        found += [(kind, read_yaml(path).plain()) for path in sorted((DATA / folder).iterdir())]
    for name in ("matchboxnet-3x1x64", "matchboxnet-3x2x64-P3", "quartznet-5x5"):
        point = published(name)
        assert point is not None
        found.append(("design", point.to_dict()))
    found += [("recipe", recipe.to_dict()) for recipe in RECIPES.values()]
    found += [("features", FeatureSpec().to_dict()), ("features", SENTENCE_FEATURES.to_dict())]
    return [*found, ("recipe", {"base": "matchboxnet", "epochs": 3})]


def test_files_that_are_read_are_valid():
    kinds = set()
    for kind, plain in files():
        wrong = jsonschema.Draft202012Validator(json_schema(kind)).iter_errors(plain)
        assert [error.message for error in wrong] == [], kind
        kinds.add(kind)
    assert kinds == set(KINDS)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trainings", 0),
        ("trainngs", 3),
        ("sampler", "guess"),
        ("recipe", "fast"),
        ("recipe", {"epochs": 2.5}),
        ("space", {"chanels": 16}),
        ("space", {"channels": {"low": 16}}),
        ("space", {"policy": "P9"}),
        ("hardware", {"clock_mhz": [5, 0]}),
        ("seed", -1),
    ],
)
def test_what_a_reader_refuses_is_invalid(tmp_path, key, value):
    plain = read_yaml(ROOT / "examples" / "demo.yaml").plain() | {key: value}
    assert not jsonschema.Draft202012Validator(json_schema("study")).is_valid(plain)
    (tmp_path / "s.yaml").write_text(dump_yaml(plain))
    with pytest.raises(InvalidFile):
        read_study(tmp_path / "s.yaml")


# --- five errors of a file


def told(read, path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(InvalidFile) as caught:
        read(path)
    return [line.replace(str(path), path.name) for line in str(caught.value).splitlines()]


def test_a_study_with_five_errors_tells_five(tmp_path):
    text = (ROOT / "examples" / "demo.yaml").read_text()
    changes = {
        "kind: commands": "kind: comands",
        "low: 16, high: 96": "low: 96, high: 16",
        "max_trained_parameters: 10000": "max_trained_parameters: many",
        "epochs: 16": "epoch: 16",
        "trainings: 7": "trainings: 0",
    }
    lines = [
        next(n for n, line in enumerate(text.splitlines(), 1) if old in line) for old in changes
    ]
    for old, new in changes.items():
        text = text.replace(old, new)
    found = told(read_study, tmp_path / "s.yaml", text)
    starts = [
        "data.task.kind must be one of commands, all_words, words, transcription, not 'comands' ",
        "'channels' is an empty range: low 96 is above high 16 ",
        "limits.max_trained_parameters must be a number, not 'many' ",
        "unknown key 'recipe.epoch': did you mean 'epochs'? ",
        "trainings must be at least 1, not 0 ",
    ]
    assert len(found) == 5
    for sentence, start, line in zip(found, starts, lines, strict=True):
        assert sentence.startswith(start) and sentence.endswith(f"(s.yaml:{line})")


def test_a_machine_with_five_errors_tells_five(tmp_path):
    text = (
        "description: five errors\n"
        "source: us\n"
        "technology: low_leakage_45nm\n"
        "clock_mhz: -1\n"
        "vector_lane: 4\n"
        "ternary_weights: stored\n"
        "arrays:\n"
        "  - {name: macs, element: mac, rows: 0, columns: 8, outputs: {capacity_bits: 24}}\n"
        "memories:\n"
        "  - {name: sram, kind: flash, holds: [weights, inputs, outputs], capacity_bits: 9,\n"
        "     bandwidth_bits_per_cycle: 1, read_pj_per_access: {value: 1, source: s}}\n"
    )
    assert told(load_accelerator, tmp_path / "m.yaml", text) == [
        "clock_mhz must be a positive number, not -1.0 (m.yaml:4)",
        "unknown key 'vector_lane': did you mean 'vector_lanes'? known keys here are description, "
        "source, technology, clock_mhz, arrays, memories, vector_lanes, ternary_weights, "
        "generator, residency, input_memory, clock_gates (m.yaml:5)",
        "arrays[0].rows must be at least 1, not 0 (m.yaml:8)",
        "memories[0].kind must be one of register_file, sram, dram, mask_rom, eflash, rram, mram, "
        "not 'flash' (m.yaml:10)",
        "memories[0].read_pj_per_access is of a word: give word_bits, how wide an access is "
        "(m.yaml:11)",
    ]
