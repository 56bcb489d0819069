"""Speech recognition, dense and ternary at equal budgets of trained parameters, with several seeds.

    python -m benchmarks.sentences --data kathleen --seeds 3
    python -m benchmarks.sentences --write     both tables into speech-recognition.md

Two pairs of small QuartzNets. The dense one of 64 channels and the ternary one of as many trained
parameters, which is wider; the ternary one of 64 channels, which trains about half (policy `half`),
and the dense one of as many trained parameters, which is narrower. Widths are solved (`dse match`).
A seed is one of the training and of the drawn matrices alike. Rows and learning curves go to
`sentences.csv` and `sentences_curves.csv` as they come: a run that was stopped goes on.

What anything must be held against: the network before its training, and the best *constant* answer.
A constant that has the character error rate c writes the same text for every utterance; the empty
one has 100 %, and the test of a text for all is a search that `constant_error` makes over the
transcripts of the training split.
"""

import argparse
import csv
import dataclasses
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.equal_budget import fitted, with_table
from cost_models import load_accelerator, load_technology
from dse.colours import BLUE, VERMILION
from dse.columns import significant
from dse.design.families.family import Values
from dse.design.families.quartznet import QUARTZNET
from dse.design.point import DesignPoint
from dse.pricing.filling import Filling
from dse.pricing.machine import Machine
from dse.pricing.pricing import Offer, Pricing
from dse.speech.transcription import SENTENCE_FEATURES, Transcription
from dse.training.recipe import RECIPES

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "benchmarks" / "sentences.csv"
CURVES = ROOT / "benchmarks" / "sentences_curves.csv"
PAGE = ROOT / "docs" / "evidence" / "results" / "speech-recognition.md"

PICTURE = PAGE.with_name("speech-recognition-curves.png")
MARKS = ("<!-- table of benchmarks.sentences -->", "<!-- end of the table -->")

OUTPUTS, IN_CHANNELS = 29, 64
FRAMES = 300
"""Of what is priced: 3 s, about an utterance of these data."""
FRAMES_A_SECOND = 100

NETWORK: Values = {
    "blocks": 5,
    "repeats": 1,
    "channels": 64,
    "kernel": 13,
    "prologue_channels": 64,
    "prologue_kernel": 11,
    "epilogue_channels": 64,
    "epilogue_kernel": 29,
    "final_channels": 128,
}
"""QuartzNet-5x1 at an eighth of the paper's widths; all else is that of the family."""
TERNARY: Values = {"policy": "half", "density": 0.25, "matrix_order": "4x32"}

RECIPE = RECIPES["sentences"]


@dataclass(frozen=True, slots=True)
class Trained:
    """A training, as a row of the CSV has it; errors are rates of edits."""

    rival: str
    design_key: str
    seed: int
    epochs: int
    utterances: int
    """Of the test split."""
    validation_cer: float
    test_cer: float
    test_wer: float
    quantised_test_cer: float
    quantised_test_wer: float
    untrained_test_cer: float
    seconds: float


def main() -> None:
    """Train what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of sentences; without it none is trained")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    asked = parser.parse_args()
    if asked.data is not None:
        measure(asked.data, range(asked.first_seed, asked.first_seed + asked.seeds))
    table = "\n".join(lines(read_rows()))
    if asked.write:
        PAGE.write_text(
            with_table(PAGE.read_text(encoding="utf-8"), table, MARKS), encoding="utf-8"
        )
        draw_curves()
    else:
        print(table)


# --- the designs


def designs(pricing: Pricing, seed: int = 1) -> dict[str, DesignPoint]:
    """The four, by what they are called in the tables."""
    dense, ternary = NETWORK, NETWORK | TERNARY
    wide = _filled(pricing, ternary, _trained_parameters(pricing, dense))
    narrow = _filled(pricing, dense, _trained_parameters(pricing, ternary))
    found = {
        "dense": dense,
        "ternary, wider": ternary | {"channels": wide},
        "ternary": ternary,
        "dense, narrower": dense | {"channels": narrow},
    }
    return {
        name: dataclasses.replace(
            QUARTZNET.build(values, in_channels=IN_CHANNELS), ternary_seed=seed
        )
        for name, values in found.items()
    }


def _trained_parameters(pricing: Pricing, values: Values) -> int:
    point = QUARTZNET.build(values, in_channels=IN_CHANNELS)
    return int(pricing.best(point).columns["trained_parameters"])


def _filled(pricing: Pricing, values: Values, budget: int) -> int:
    """The width that comes nearest to a budget of trained parameters."""
    filling = Filling(QUARTZNET, pricing, "trained_parameters", budget, in_channels=IN_CHANNELS)
    nearest = filling.fill([values])[0].nearest(budget)
    assert nearest is not None, values
    return int(nearest.value)


def pricings() -> list[Pricing]:
    """On trees that make their matrices, on the same trees with stored ones, and on MAC units."""
    technology = load_technology("low_leakage_45nm")
    names = ("kws_ternary", "kws_ternary_stored", "kws_int8")
    machines = [Machine(fitted(load_accelerator(name)), technology, "edp") for name in names]
    return [Pricing([machine], frames=FRAMES, outputs=OUTPUTS) for machine in machines]


# --- the trainings


def measure(data: Path, seeds: Sequence[int]) -> None:
    """Train every design with every seed; what the CSV has already is left out."""
    import torch

    from dse.networks.network import build_network
    from dse.speech.loading import load_speech
    from dse.training.devices import choose_computation, choose_device, set_threads
    from dse.training.run import BEST, train
    from dse.training.sentence_scoring import evaluate_sentences, score_best_sentences

    set_threads(1)
    task = Transcription()
    features = load_speech(data, task, SENTENCE_FEATURES)
    constant, text = constant_error(features)
    print(f"the best constant answer is {text!r}: CER {constant:.1%}", flush=True)
    computation = choose_computation(RECIPE, choose_device("cpu"), "auto")
    for seed in seeds:
        known = {(row.rival, row.epochs) for row in read_rows() if row.seed == seed}
        for name, point in designs(pricings()[0], seed).items():
            if (name, RECIPE.epochs) in known:
                continue
            torch.manual_seed(seed)
            raw = build_network(point, OUTPUTS)
            before = evaluate_sentences(raw, point, features.testing, task.characters)
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                result = train(point, features, RECIPE, seed=seed, folder=folder, device="cpu")
                tested = score_best_sentences(folder / BEST, features, computation, "testing")
            assert tested.int8 is not None, tested.reason
            row = Trained(
                rival=name,
                design_key=point.key,
                seed=seed,
                epochs=RECIPE.epochs,
                utterances=len(features.testing),
                validation_cer=result.validation_error,
                test_cer=tested.floats.cer,
                test_wer=tested.floats.wer,
                quantised_test_cer=tested.int8.cer,
                quantised_test_wer=tested.int8.wer,
                untrained_test_cer=before.heard.cer,
                seconds=round(result.seconds, 1),
            )
            _append(ROWS, [dataclasses.asdict(row)])
            _append(
                CURVES,
                [
                    {"rival": name, "seed": seed, "epoch": one.epoch, "cer": one.validation_error}
                    for one in result.history
                ],
            )
            print(row, flush=True)


def constant_error(features: Any) -> tuple[float, str]:
    """Character error rate of the best constant answer that the training split suggests.

    Tried are no text at all, every character, and every transcript of the training split; told is
    that of the lowest rate on the test split, so it is a lower one than a person would have found.
    """
    from dse.training.edits import character_edits
    from dse.training.sentence_scoring import said

    references = said(features.testing, features.characters)
    texts = ["", *features.characters, *said(features.training, features.characters)]
    rates = [(character_edits(references, (text,) * len(references)).rate, text) for text in texts]
    return min(rates)


def _append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows(rows)


def read_rows() -> list[Trained]:
    """All trainings that were measured."""
    if not ROWS.exists():
        return []
    kinds = {field.name: field.type for field in dataclasses.fields(Trained)}
    with ROWS.open(newline="", encoding="utf-8") as file:
        return [
            Trained(**{name: kinds[name](text) for name, text in row.items()})
            for row in csv.DictReader(file)
        ]


# --- the page


def lines(rows: Sequence[Trained]) -> Iterator[str]:
    """Both tables: what each network writes wrongly, and what it costs."""
    on = pricings()
    points = designs(on[0])
    seeds_of = [{row.seed for row in rows if row.rival == name} for name in points]
    seeds = set.intersection(*seeds_of)  # a run that was stopped leaves some half done
    clips = rows[0].utterances if rows else 0
    yield f"Test errors of {len(seeds)} seeds, {clips} unheard sentences, in percent:"
    yield ""
    yield "| network | channels | trained | CER | in whole numbers | WER | CER untrained |"
    yield "|---|---|---|---|---|---|---|"
    for name, point in points.items():
        of_name = [row for row in rows if row.rival == name and row.seed in seeds]
        trained = int(on[0].best(point).columns["trained_parameters"])
        figures = [
            _spread([getattr(row, column) for row in of_name])
            for column in ("test_cer", "quantised_test_cer", "test_wer", "untrained_test_cer")
        ]
        channels = point.blocks[1].out_channels
        yield f"| {name} | {channels} | {trained:,} | {' | '.join(figures)} |"
    yield ""
    yield "A second of audio, memories as large as each design needs:"
    yield ""
    names = [each.machines[0].accelerator.name for each in on]
    yield f"| network | stored | {' | '.join(f'`{name}`' for name in names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for name, point in points.items():
        offers = [each.best(point) for each in on]
        stored = f"{offers[0].columns['stored_bits'] / 1000:,.0f} kbit"
        yield f"| {name} | {stored} | {' | '.join(map(_cost, offers))} |"


def draw_curves() -> None:
    """Character error rate on the validation split by epoch, a line a training, into `PICTURE`."""
    from matplotlib.figure import Figure

    with CURVES.open(newline="", encoding="utf-8") as file:
        points = list(csv.DictReader(file))
    styles = {
        "dense": (BLUE, "-"),
        "dense, narrower": (BLUE, ":"),
        "ternary, wider": (VERMILION, "-"),
        "ternary": (VERMILION, ":"),
    }
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, (colour, style) in styles.items():
        for number, seed in enumerate(sorted({each["seed"] for each in points})):
            some = [each for each in points if (each["rival"], each["seed"]) == (name, seed)]
            epochs = [int(each["epoch"]) for each in some]
            rates = [100 * min(1.0, float(each["cer"])) for each in some]
            axes.plot(epochs, rates, style, color=colour, label="" if number else name)
    axes.set(xlabel="epoch", ylabel="validation CER (%)", ylim=(0, 102))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(PICTURE, dpi=110)


def _cost(offer: Offer) -> str:
    seconds = FRAMES / FRAMES_A_SECOND
    energy_uj = offer.columns["energy_pj"] * 1e-6 / seconds
    busy = offer.columns["latency_us"] * 1e-6 / seconds
    area_mm2 = offer.columns["area_um2"] * 1e-6
    return f"{significant(energy_uj)} µJ, {100 * busy:.2g} % busy, {significant(area_mm2)} mm²"


def _spread(rates: Sequence[float]) -> str:
    deviation = f" ± {100 * statistics.stdev(rates):.1f}" if len(rates) > 1 else ""
    return f"{100 * statistics.mean(rates):.1f}{deviation}" if rates else "-"


if __name__ == "__main__":
    main()
