import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from cost_models.strict_yaml import parse_yaml
from dse.errors import InvalidFile, InvalidInput
from dse.training.recipe import (
    NO_AUGMENTATION,
    RECIPES,
    Augmentation,
    Recipe,
    load_recipe,
    recipe_from_node,
)

KNOWN = "default, matchboxnet, quartznet, sentences"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_yaml(name):
    recipe = RECIPES[name]
    assert recipe_from_node(parse_yaml(yaml.safe_dump(recipe.to_dict()), "r.yaml")) == recipe


def test_the_published_recipe_is_that_of_the_paper():
    # arXiv 2004.08531, section 3.
    recipe = load_recipe("matchboxnet")
    assert (recipe.optimiser, recipe.betas, recipe.weight_decay) == ("novograd", (0.95, 0.5), 0.001)
    assert (recipe.learning_rate, recipe.min_learning_rate) == (0.05, 0.001)
    assert (recipe.schedule, recipe.warmup_fraction, recipe.hold_fraction) == (
        "warmup_hold_decay",
        0.05,
        0.45,
    )
    assert (recipe.epochs, recipe.batch_size) == (200, 128)
    holes = recipe.augmentation
    assert (holes.time_masks, holes.time_width) == (2, 25)
    assert (holes.frequency_masks, holes.frequency_width) == (2, 15)
    assert (holes.rectangles, holes.rectangle_time, holes.rectangle_frequency) == (5, 25, 15)


def test_the_recipe_of_quartznet_is_that_of_its_authors():
    # OpenSeq2Seq's quartznet15x5_LibriSpeech.py.
    recipe = load_recipe("quartznet")
    assert (recipe.optimiser, recipe.betas, recipe.weight_decay) == ("novograd", (0.95, 0.5), 0.001)
    assert (recipe.learning_rate, recipe.min_learning_rate, recipe.schedule) == (0.01, 0, "cosine")
    assert (recipe.epochs, recipe.batch_size) == (400, 32)
    assert recipe.batch_frames == 32 * 1670  # of 16.7 s at most
    holes = recipe.augmentation
    assert (holes.time_masks, holes.time_width) == (2, 6)
    assert (holes.frequency_masks, holes.frequency_width) == (2, 6)
    assert holes.rectangles == 0


def test_a_recipe_may_start_from_another():
    node = parse_yaml("base: matchboxnet\nepochs: 30\naugmentation: {time_masks: 1}\n", "r.yaml")
    assert recipe_from_node(node) == replace(
        RECIPES["matchboxnet"], epochs=30, augmentation=Augmentation(time_masks=1)
    )


def test_a_recipe_may_be_a_name():
    assert recipe_from_node(parse_yaml("matchboxnet", "r.yaml")) == RECIPES["matchboxnet"]


def test_a_recipe_may_be_a_file(tmp_path):
    (tmp_path / "r.yaml").write_text("optimiser: sgd\nlearning_rate: 1e-1\n")
    recipe = load_recipe(str(tmp_path / "r.yaml"))
    assert recipe == Recipe(optimiser="sgd", learning_rate=0.1)


def test_no_augmentation_cuts_no_holes():
    assert (NO_AUGMENTATION.time_masks, NO_AUGMENTATION.frequency_masks) == (0, 0)
    assert (NO_AUGMENTATION.rectangles, NO_AUGMENTATION.varied) == (0, False)


def test_the_key_changes_with_every_field():
    changed = [
        Recipe(),
        Recipe(epochs=41),
        Recipe(betas=(0.8, 0.999)),
        Recipe(augmentation=NO_AUGMENTATION),
    ]
    assert len({recipe.key for recipe in changed}) == 4
    assert Recipe().key == Recipe(epochs=Recipe().epochs).key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 0", "epochs must be at least 1, not 0 (r.yaml:1)"),
        (
            "batch_size: 1",
            "batch_size must be at least 2, as batch norm compares clips, not 1 (r.yaml:1)",
        ),
        (
            "optimiser: adam",
            "optimiser must be one of adamw, sgd, novograd, not 'adam' (r.yaml:1)",
        ),
        ("learning_rate: 0", "learning_rate must be a finite number above 0, not 0.0 (r.yaml:1)"),
        ("learning_rate: .inf", "learning_rate must be a finite number above 0, not inf"),
        ("weight_decay: -1", "weight_decay must be a finite number from 0 up, not -1.0"),
        (
            "learning_rate: 0.1\nmin_learning_rate: 0.2",
            "min_learning_rate must be at most learning_rate, 0.1, not 0.2 (r.yaml:2)",
        ),
        ("betas: [0.9, 1]", "betas must be two numbers in [0, 1), not [0.9, 1.0] (r.yaml:1)"),
        ("betas: [0.9]", "betas must be two numbers in [0, 1), not [0.9] (r.yaml:1)"),
        ("warmup_fraction: 1", "warmup_fraction must be in [0, 1), not 1.0 (r.yaml:1)"),
        (
            "warmup_fraction: 0.25\nhold_fraction: 0.8",
            "hold_fraction must be in [0, 0.75], what the warm-up leaves, not 0.8 (r.yaml:2)",
        ),
        ("label_smoothing: 1", "label_smoothing must be in [0, 1), not 1.0 (r.yaml:1)"),
        ("gradient_clip: 0", "gradient_clip must be more than 0, or null, not 0.0 (r.yaml:1)"),
        ("precision: bf16", "precision must be one of auto, float32, bfloat16, not 'bf16'"),
        (
            "augmentation: {time_masks: -1}",
            "augmentation.time_masks must be 0 or more, not -1 (r.yaml:1)",
        ),
        ("epoch: 3", "unknown key 'epoch': did you mean 'epochs'?"),
        ("base: fast", f"there is no recipe 'fast': recipes are {KNOWN} (r.yaml:1)"),
        ("fast", f"there is no recipe 'fast': recipes are {KNOWN} (r.yaml:1)"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_sentence(text, message):
    with pytest.raises(InvalidFile) as error:
        recipe_from_node(parse_yaml(text, "r.yaml"))
    assert message in str(error.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InvalidInput) as error:
        load_recipe("fast")
    assert str(error.value) == (f"there is no recipe 'fast': use {KNOWN}, or a YAML file")


def test_recipes_histories_schedules_and_scores_load_without_torch():
    modules = (
        "dse.training.recipe, dse.training.history, dse.training.schedules, dse.training.scores"
    )
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
