"""Every mixing layer at the same budget of trained parameters: trained with several seeds, priced.

    python -m benchmarks.equal_budget --data speech_commands --seeds 5 --epochs 16
    python -m benchmarks.equal_budget --write     the tables of docs/evidence/results/mixers.md

The width of each kind is the one that fills the budget most closely (`dse match`); all else is the
same. A seed is one of the training and of the drawn matrices alike, so a spread has both in it.
Rows go to `equal_budget.csv` as they come: a run that was stopped goes on, and two processes share
the work where each is given other seeds (`--first-seed`).

Costs are of three machines whose memories are as large as each design needs (`capacity_bits: fit`):
`kws_ternary`, `kws_ternary_stored`, and a dense machine of the area of the first one, which is
`kws_int8` with as many columns of MAC units as make up for trees and generator (`dense_machine`).
"""

import argparse
import csv
import dataclasses
import fcntl
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost_models import Accelerator, Band, load_accelerator, load_technology
from cost_models.machine_area import machine_area_um2, sum_bands
from dse.columns import significant
from dse.design.families.family import Values
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.families.mixing import PLACE_KINDS, of_kind
from dse.design.mixer import Mixer, MixerKind
from dse.design.point import DesignPoint
from dse.pricing.filling import Filling
from dse.pricing.machine import Machine
from dse.pricing.pricing import Offer, Pricing
from dse.studies.intervals import mean_band

ROOT = Path(__file__).resolve().parents[1]
ROWS = ROOT / "benchmarks" / "equal_budget.csv"
PAGE = ROOT / "docs" / "evidence" / "results" / "mixers.md"
MARKS = ("<!-- table of benchmarks.equal_budget -->", "<!-- end of the table -->")

BUDGET = 20_000
FRAMES, OUTPUTS, IN_CHANNELS = 128, 12, 64
NETWORK: Values = {
    "blocks": 3,
    "repeats": 2,
    "policy": "P3",
    "prologue_channels": 32,
    "epilogue_channels": 32,
    "final_channels": 32,
}
"""All but the width. A rim of 32 channels is a power of two, as butterflies need, and leaves most
of the budget to the blocks."""

TILE = (4, 32)
"""Rows and columns of the trees of `kws_ternary`."""


@dataclass(frozen=True, slots=True)
class Rival:
    """One row of the table."""

    name: str
    kind: MixerKind
    weight_bits: int = 8


RIVALS = (
    *(Rival(kind, kind) for kind in PLACE_KINDS),
    Rival("dense, weights of 4 bits", "dense", 4),
    Rival("ternary, trained weights of 4 bits", "ternary", 4),
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A training of a rival, as a row of the CSV has it; errors are shares of clips."""

    rival: str
    design_key: str
    seed: int
    epochs: int
    clips: int
    """Of the test split."""
    validation_error: float
    test_error: float
    quantised_test_error: float


def main() -> None:
    """Train what is missing, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of speech; without it nothing is trained")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.name}")
    asked = parser.parse_args()
    if asked.data is not None:
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        measure(asked.data, seeds, asked.epochs)
    table = "\n".join(lines(read_rows()))
    if asked.write:
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), table), encoding="utf-8")
    else:
        print(table)


# --- the designs


def designs(pricing: Pricing, seed: int = 1) -> dict[str, DesignPoint]:
    """The design of each rival: the width that is nearest to the budget.

    Args:
        pricing: nothing of it matters to trained parameters.
        seed: of the matrices that are drawn.
    """
    filling = Filling(MATCHBOXNET, pricing, "trained_parameters", BUDGET, in_channels=IN_CHANNELS)
    found = {}
    for rival in RIVALS:
        values = of_kind(MATCHBOXNET, NETWORK, rival.kind)
        nearest = filling.fill([values])[0].nearest(BUDGET)
        assert nearest is not None, rival
        point = MATCHBOXNET.build(
            {**values, "channels": nearest.value, "weight_bits": rival.weight_bits},
            in_channels=IN_CHANNELS,
        )
        found[rival.name] = dataclasses.replace(point, ternary_seed=seed)
    return found


def machines() -> tuple[Machine, ...]:
    """The three, with memories that fit."""
    technology = load_technology("low_leakage_45nm")
    ternary = load_accelerator("kws_ternary")
    dense = dense_machine(ternary)
    stored = load_accelerator("kws_ternary_stored")
    return tuple(Machine(fitted(each), technology, "edp") for each in (ternary, stored, dense))


def fitted(machine: Accelerator) -> Accelerator:
    """A machine whose weights and activations have as much room as each design needs."""
    memories = tuple(
        dataclasses.replace(memory, capacity_bits="fit")
        if memory.name in ("weight_sram", "activation_sram")
        else memory
        for memory in machine.memories
    )
    return dataclasses.replace(machine, memories=memories)


def dense_machine(ternary: Accelerator) -> Accelerator:
    """`kws_int8` with the number of columns of MAC units that comes nearest to a machine's area."""
    base = load_accelerator("kws_int8")
    aim = _area_um2(ternary)
    wider = [_with_columns(base, columns) for columns in range(8, 33)]
    return min(wider, key=lambda each: abs(_area_um2(each) - aim))


def _with_columns(base: Accelerator, columns: int) -> Accelerator:
    array = dataclasses.replace(base.arrays[0], columns=columns)
    return dataclasses.replace(base, name=f"kws_int8, {array.rows} x {columns}", arrays=(array,))


def _area_um2(machine: Accelerator) -> float:
    """Without a generator, whose few thousand um2 depend on the design."""
    return sum_bands(
        machine_area_um2(machine, load_technology("low_leakage_45nm"), ()).values()
    ).mid


# --- the trainings


def measure(data: Path, seeds: Sequence[int], epochs: int) -> None:
    """Train every rival with every seed; what the CSV has already is left out."""
    from dse.speech.features import load_features  # loads torch
    from dse.speech.task import FeatureSpec, Task
    from dse.training.devices import choose_computation, choose_device, set_threads
    from dse.training.recipe import RECIPES
    from dse.training.run import BEST, train
    from dse.training.scoring import score_best

    set_threads(1)
    features = load_features(data, Task(), FeatureSpec())
    assert len(features.classes) == OUTPUTS, features.classes
    recipe = dataclasses.replace(RECIPES["default"], epochs=epochs)
    computation = choose_computation(recipe, choose_device("cpu"), "auto")
    pricing = Pricing(machines()[:1], frames=FRAMES, outputs=OUTPUTS)
    for seed in seeds:
        known = {row.rival for row in read_rows() if (row.seed, row.epochs) == (seed, epochs)}
        for name, point in designs(pricing, seed).items():
            if name in known:
                continue
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                result = train(point, features, recipe, seed=seed, folder=folder, device="cpu")
                tested = score_best(folder / BEST, features, computation, "testing")
            assert tested.quantised_error is not None, tested.reason
            row = Trained(
                rival=name,
                design_key=point.key,
                seed=seed,
                epochs=epochs,
                clips=len(features.testing),
                validation_error=result.validation_error,
                test_error=tested.error,
                quantised_test_error=tested.quantised_error,
            )
            add_row(row)
            print(row, f"{result.seconds:.0f} s", flush=True)


def add_row(row: Trained) -> None:
    """One line, in one step: several processes write the same file."""
    with ROWS.open("a", newline="", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = csv.DictWriter(file, [each.name for each in dataclasses.fields(Trained)])
        if file.tell() == 0:
            writer.writeheader()
        writer.writerow(dataclasses.asdict(row))


def read_rows() -> list[Trained]:
    """All trainings that were measured."""
    if not ROWS.exists():
        return []
    with ROWS.open(newline="", encoding="utf-8") as file:
        return [
            Trained(
                rival=row["rival"],
                design_key=row["design_key"],
                seed=int(row["seed"]),
                epochs=int(row["epochs"]),
                clips=int(row["clips"]),
                validation_error=float(row["validation_error"]),
                test_error=float(row["test_error"]),
                quantised_test_error=float(row["quantised_test_error"]),
            )
            for row in csv.DictReader(file)
        ]


# --- the page


def lines(rows: Sequence[Trained]) -> Iterator[str]:
    """Both tables: what each rival tells wrongly, and what it costs.

    Errors are means over the seeds with the 95 % interval of `mean_band`, which holds the chance of
    seeds and of clips. The last column compares seed by seed with the dense network, on the same
    clips: Student's interval of the mean difference, in which the clips' own chance is not.
    """
    epochs = max((row.epochs for row in rows), default=0)
    rows = [row for row in rows if row.epochs == epochs]
    seeds_of = [{row.seed for row in rows if row.rival == rival.name} for rival in RIVALS]
    seeds = set.intersection(*seeds_of)  # a run that was stopped leaves some half done
    by_rival = {
        rival.name: [row for row in rows if row.rival == rival.name and row.seed in seeds]
        for rival in RIVALS
    }
    on = [Pricing([each], frames=FRAMES, outputs=OUTPUTS) for each in machines()]
    points = designs(on[0])
    offers = {name: [each.best(point) for each in on] for name, point in points.items()}
    clips = rows[0].clips if rows else 0
    yield f"Test errors of {len(seeds)} seeds of {epochs} epochs each, {clips:,} clips:"
    yield ""
    yield "| mixing layer | channels | trained | error, floats | in whole numbers | than dense |"
    yield "|---|---|---|---|---|---|"
    for rival in RIVALS:
        trained = int(offers[rival.name][0].columns["trained_parameters"])
        channels = points[rival.name].blocks[1].out_channels
        yield f"| {_named(rival)} | {channels} | {trained:,} | {_errors(rival, by_rival)} |"
    yield ""
    yield f"One inference of {FRAMES} frames, memories as large as each design needs:"
    yield ""
    names = [each.machines[0].accelerator.name for each in on]
    yield f"| mixing layer | stored | {' | '.join(f'`{name}`' for name in names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for rival in RIVALS:
        yield _cost_line(_named(rival), offers[rival.name])
        if rival.name == "ternary":
            words = f"ternary, made in tiles of {TILE[0]} x {TILE[1]}"
            tiled = in_tiles(points["ternary"])
            yield _cost_line(words, [each.best(tiled) for each in on])


def in_tiles(point: DesignPoint) -> DesignPoint:
    """A ternary network whose entries are made in the order in which the trees of the machine ask.

    The same stream in other places: another draw of the same distribution, so it is priced and not
    trained again.
    """

    def moved(mixer: Mixer) -> Mixer:
        if mixer.generator is None:
            return mixer
        generator = dataclasses.replace(mixer.generator, tile=TILE)
        return dataclasses.replace(mixer, generator=generator)

    blocks = tuple(
        dataclasses.replace(block, mixer=moved(block.mixer), skip=block.skip and moved(block.skip))
        for block in point.blocks
    )
    return dataclasses.replace(point, blocks=blocks)


def _cost_line(name: str, offers: Sequence[Offer]) -> str:
    """A row of the second table."""
    stored = f"{offers[0].columns['stored_bits'] / 1000:,.0f} kbit"
    return f"| {name} | {stored} | {' | '.join(map(_cost, offers))} |"


def _errors(rival: Rival, by_rival: dict[str, list[Trained]]) -> str:
    """The last three cells of a row of the first table."""
    rows = by_rival[rival.name]
    if not rows:
        return "- | - | -"
    floats = mean_band([row.test_error for row in rows], rows[0].clips)
    whole = mean_band([row.quantised_test_error for row in rows], rows[0].clips)
    dense = {row.seed: row.quantised_test_error for row in by_rival["dense"]}
    differences = [100 * (row.quantised_test_error - dense[row.seed]) for row in rows]
    than_dense = "" if rival.name == "dense" else _difference(differences)
    return f"{_band(floats)} | {_band(whole)} | {than_dense}"


def _difference(points: Sequence[float]) -> str:
    """Mean of paired differences in points, with Student's 95 % interval."""
    mean = statistics.fmean(points)
    if len(points) < 2:
        return f"{mean:+.1f}"
    from scipy.stats import t as student_t  # slow to load

    half = float(student_t.ppf(0.975, len(points) - 1)) * statistics.stdev(points)
    half /= len(points) ** 0.5
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def _band(band: Band) -> str:
    return f"{band.mid:.1f} % ({band.low:.1f} to {band.high:.1f})"


def _named(rival: Rival) -> str:
    return f"`{rival.name}`" if rival.name == rival.kind else rival.name


def _cost(offer: Offer) -> str:
    """`4.07 uJ, 5.73 ms, 0.316 mm2`."""
    columns = offer.columns
    return (
        f"{significant(columns['energy_pj'] / 1e6, 3)} µJ, "
        f"{significant(columns['latency_us'] / 1e3, 3)} ms, "
        f"{columns['area_um2'] / 1e6:.3f} mm²"
    )


def with_table(text: str, table: str, marks: tuple[str, str] = MARKS) -> str:
    """The page with the tables between its two marks."""
    before, rest = text.split(marks[0], 1)
    _, after = rest.split(marks[1], 1)
    return f"{before}{marks[0]}\n\n{table}\n\n{marks[1]}{after}"


if __name__ == "__main__":
    main()
