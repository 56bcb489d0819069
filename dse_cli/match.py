"""`dse match`: designs of every mixing layer that use the same budget, side by side.

Whether a kind of matrix pays is a question at equal size: at equal widths the dense network has
more trained parameters, and more of everything else. So the width of each is solved from the budget
(`dse.pricing.filling`), and what is printed differs in the kind of the mixing layers alone.
"""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table

from cost_models import Objective
from cost_models.strict_yaml import parse_yaml
from dse.columns import COST_COLUMNS, LABELS, STREAM_COLUMNS, shown
from dse.design.families.family import Family, Value, Values
from dse.design.families.mixing import PLACE_KINDS, of_kind
from dse.design.mixer import DENSE, MixerKind
from dse.design.point import DesignPoint
from dse.design.policies import POLICIES
from dse.errors import InvalidInput, short
from dse.pricing.filling import AXES, Filled, Filling, check_axis
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Offer, Pricing
from dse.report.lengths import MS_PER_S
from dse.sheets import csv_records
from dse_cli.asked import Asked, read_asked
from dse_cli.options import (
    DEFAULT_MACHINE,
    FRAMES_RANGE,
    MACHINES,
    OUTPUTS_RANGE,
    TECHNOLOGIES,
    USUAL_FRAMES,
    USUAL_OUTPUTS,
    Number,
    mapping_objective_option,
    split_names,
)
from dse_cli.terminal import Screen, say

LIKE = "matchboxnet-3x1x64-P3"
SUFFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
SHOWN = (
    "trained_parameters",
    "stored_bits",
    "macs",
    "additions",
    "generated_weights",
    "energy_pj",
    "latency_us",
    "area_um2",
)
"""Columns of the table."""
HEADINGS = {
    "trained_parameters": "trained",
    "generated_weights": "generated",
    "additions": "adds",
    "energy_pj": "energy",
    "area_um2": "area",
}
MAX_WIDTH = 300
"""Columns of the widest table that is measured."""


class Amount(click.ParamType):  # type: ignore[type-arg]  # click 8.1 takes none
    """A number above 0 with an optional k, M or G: `77k`, `1.2M`."""

    name = "AMOUNT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that a person typed."""
        match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,15})?)([kMG]?)", str(value).replace(",", ""))
        if match is None or float(match[1]) == 0:
            self.fail(f"{short(value)} is no number above 0 such as 77k or 1.2M", param, ctx)
        return float(match[1]) * SUFFIXES[match[2]]


@click.command(short_help="Equal-budget designs of every mixing layer.")
@click.option("--budget", type=Amount(), required=True, help="How much: 77k, 1.2M or a number.")
@click.option(
    "--column",
    default="trained_parameters",
    show_default=True,
    help="Of what: a column that is known before a training, in its unit (docs: Columns).",
)
@click.option(
    "--like",
    default=LIKE,
    show_default=True,
    help="The network but for its width: a published one, or a study's folder.",
)
@click.option(
    "--design",
    "chosen",
    help="Of a study: trial number or key of the design.  [default: the frontier's of the least "
    "error]",
)
@click.option(
    "--with",
    "changes",
    metavar="AXIS=VALUE,...",
    help="Other values of axes: repeats=2,density=0.125,rank=4.",
)
@click.option(
    "--policy",
    type=click.Choice(POLICIES[1:]),
    help="Which places get the kind.  [default: the network's own, or P3 of a dense one]",
)
@click.option(
    "--kind", "kinds", help=f"Kinds, separated by commas: {', '.join(PLACE_KINDS)}.  [default: all]"
)
@click.option(
    "--solve",
    "axis",
    help=f"The axis that is solved: {', '.join(AXES)}.  [default: the family's width: "
    "width_percent of TC-ResNet, channels of others]",
)
@click.option(
    "--within",
    type=Number(0.0, 100.0),
    default=2.0,
    show_default=True,
    help="Percent from the budget up to which it counts as met.",
)
@click.option("--machine", help=f"{MACHINES}.  [default: a study's own, or {DEFAULT_MACHINE}]")
@click.option("--technology", help=f"{TECHNOLOGIES}, instead of the machine's own.")
@mapping_objective_option
@click.option(
    "--stream",
    "hop",
    type=FRAMES_RANGE,
    help="Columns of a stream, too, such as listening_power_uw: so many new frames a hop.  "
    "[default: a study's own]",
)
@click.option(
    "--frames", type=FRAMES_RANGE, help=f"Input frames.  [default: a study's, or {USUAL_FRAMES}]"
)
@click.option(
    "--outputs", type=OUTPUTS_RANGE, help=f"Classes.  [default: a study's, or {USUAL_OUTPUTS}]"
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all of it.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: one row a mixing layer.")
def command(
    budget: float,
    column: str,
    like: str,
    chosen: str | None,
    changes: str | None,
    policy: str | None,
    kinds: str | None,
    axis: str | None,
    within: float,
    machine: str | None,
    technology: str | None,
    objective: Objective,
    hop: int | None,
    frames: int | None,
    outputs: int | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Print the design of each mixing layer that fills a budget most closely, with its costs.

    All of them are the network of --like but for its width, which is solved, and for the kind of
    its mixing layers. Where no width meets the budget, the two nearest are told.

    \b
      dse match --budget 77k
      dse match --budget 77214 --like matchboxnet-5x2x64-P1 --outputs 30
      dse match --budget 20k --with blocks=2,repeats=2 --kind dense,ternary,monarch,low_rank
      dse match --budget 6M --column energy_pj --machine kws_ternary_stored
      dse match --budget 20k --like studies/demo --design 7
      dse match --budget 90 --column listening_power_uw --stream 4
    """  # noqa: D301 (click reads the backspace as: do not wrap)
    if as_json and as_csv:
        raise click.UsageError("choose one of --json and --csv")
    asked = read_asked(like, chosen, frames, outputs)
    own = None if asked.study is None else asked.study.asked.listening
    listening = own if hop is None else Listening(hop, MS_PER_S / asked.frames_per_s)
    _check_column(column, streams=listening is not None)
    family, values = _changed(asked, changes, policy)
    axis = axis or family.width
    check_axis(axis, values, family)
    accelerator, constants = asked.load(machine or asked.machine, technology)
    pricing = Pricing(
        [Machine(accelerator, constants, objective)],
        frames=asked.frames,
        outputs=asked.outputs,
        listening=listening,
    )
    filling = Filling(family, pricing, column, budget, in_channels=asked.point.features, axis=axis)
    matched = _match(filling, values, _read_kinds(kinds))
    if as_json:
        say(json.dumps([each.to_dict(filling) for each in matched], indent=2))
    elif as_csv:
        say(csv_records([each.to_row(filling) for each in matched]), nl=False)
    else:
        console = Screen(highlight=False)
        console.print(
            f"Each filled to {_amount(budget, column)} on {accelerator.name}, one inference of "
            f"{asked.frames} frames, {asked.outputs} outputs; all but {axis} as "
            f"{_said(like, values, axis)}",
            markup=False,
            soft_wrap=True,
        )
        _print(matched, filling, console)
        for each in matched:
            if words := each.told(filling, within):
                console.print(words, markup=False, soft_wrap=True)
    if not any(each.met(budget, within) for each in matched):
        raise SystemExit(1)


@dataclass(frozen=True, slots=True)
class Matched:
    """The design of one mixing layer that is nearest to the budget."""

    kind: MixerKind
    filled: Filled
    value: int | None
    """Of the axis that was solved; None where no network of this kind can be built."""
    point: DesignPoint | None
    offer: Offer | None

    @property
    def label(self) -> str:
        """`low_rank 8`: the kind with its sizes, or its density."""
        if self.point is None:
            return self.kind
        mixers = (mixer for each in self.point.blocks for mixer in (each.mixer, each.skip))
        mixer = next((each for each in mixers if each and each.kind == self.kind), DENSE)
        sizes = [size for name, size in mixer.parameters.items() if name != "generator"]
        return " ".join([self.kind, *(f"{size:.12g}" for size in sizes)])

    def off(self, column: str, budget: float) -> float:
        """How far it is from the budget, as a share of it; NaN where it is no design."""
        return self.offer.columns[column] / budget - 1 if self.offer else float("nan")

    def met(self, budget: float, within: float) -> bool:
        """Whether it meets the budget, to so many percent."""
        nearest = self.filled.nearest(budget)
        return nearest is not None and abs(nearest.amount - budget) <= within / 100 * budget

    def told(self, filling: Filling, within: float) -> str:
        """A sentence where the budget is not met, or the machine does not hold the design."""
        if not self.met(filling.budget, within):
            words = self.filled.told(filling.axis, filling.column, filling.budget)
            return f"{self.label}: {words}"
        reason = self.offer.reason if self.offer else ""
        return f"{self.label}: {reason}" if reason else ""

    def to_row(self, filling: Filling) -> dict[str, Any]:
        """As plain figures, in the columns' own units."""
        off = self.off(filling.column, filling.budget)
        return {
            "mixer": self.kind,
            "design": "" if self.point is None else self.point.summary,
            "design_key": "" if self.point is None else self.point.key,
            filling.axis: self.value,
            "off_share": None if self.offer is None else round(off, 6),
            **({} if self.offer is None else self.offer.columns),
        }

    def to_dict(self, filling: Filling) -> dict[str, Any]:
        """The same with the two values between which the budget lies."""
        ends = {"below": self.filled.below, "above": self.filled.above}
        return self.to_row(filling) | {
            name: None if end is None else {filling.axis: end.value, filling.column: end.amount}
            for name, end in ends.items()
        }


def _match(filling: Filling, values: Values, kinds: Sequence[MixerKind]) -> list[Matched]:
    """The nearest design of each kind; all are solved as one batch."""
    designs = [of_kind(filling.family, values, kind) for kind in kinds]
    found = []
    for kind, design, filled in zip(kinds, designs, filling.fill(designs), strict=True):
        nearest = filled.nearest(filling.budget)
        if nearest is None:
            found.append(Matched(kind, filled, None, None, None))
            continue
        point = filling.family.build(
            {**design, filling.axis: nearest.value}, in_channels=filling.in_channels
        )
        found.append(Matched(kind, filled, nearest.value, point, filling.pricing.best(point)))
    return found


def _print(matched: Sequence[Matched], filling: Filling, console: Screen) -> None:
    columns = list(dict.fromkeys((filling.column, *SHOWN)))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("mixing layer", no_wrap=True)
    table.add_column(filling.axis, justify="right")
    table.add_column("off", justify="right")
    for name in columns:
        label, unit, _ = LABELS[name]
        heading = HEADINGS.get(name, label)
        table.add_column(f"{heading}, {unit}" if unit else heading, justify="right")
    for each in matched:
        if each.offer is None:
            table.add_row(each.label, *["-"] * (2 + len(columns)))
            continue
        off = f"{100 * each.off(filling.column, filling.budget):+.2f} %"
        costs = (shown(each.offer.columns[name], name) for name in columns)
        table.add_row(each.label, f"{each.value:,}", off, *costs)
    # Where the window is narrower, its lines wrap; a number cut short would be lost.
    needed = console.measure(table, options=console.options.update(width=MAX_WIDTH)).maximum
    console.width = max(needed, console.width)
    console.print(table)


def _amount(budget: float, column: str) -> str:
    label, unit, _ = LABELS[column]
    words = f"{shown(budget, column)} {unit}".strip()
    return f"{words} ({column})" if label.replace(" ", "_") != column else f"{words} {label}"


def _said(like: str, values: Mapping[str, Value], axis: str) -> str:
    axes = ", ".join(
        f"{name} {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
        if name != axis
    )
    return f"{like} ({axes})" if axes else like


def _check_column(column: str, *, streams: bool) -> None:
    if column in STREAM_COLUMNS and not streams:
        raise InvalidInput(
            f"{column} is of a design that listens to a stream: say by --stream how many frames it "
            "takes at a time"
        )
    if column not in (*COST_COLUMNS, *STREAM_COLUMNS):
        close = difflib.get_close_matches(column, (*COST_COLUMNS, *STREAM_COLUMNS), n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise InvalidInput(
            f"there is no column {short(column)}: {hint}columns are {', '.join(COST_COLUMNS)}"
        )


def _read_kinds(kinds: str | None) -> tuple[MixerKind, ...]:
    wanted = split_names(kinds)
    for name in wanted:
        if name not in PLACE_KINDS:
            close = difflib.get_close_matches(name, PLACE_KINDS, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise InvalidInput(
                f"there is no mixing layer {short(name)} for any widths: {hint}use "
                f"{', '.join(PLACE_KINDS)}"
            )
    return tuple(kind for kind in PLACE_KINDS if kind in wanted or not wanted)


def _changed(asked: Asked, changes: str | None, policy: str | None) -> tuple[Family, Values]:
    """The axes of a design with others changed, and with places for a kind of mixing layer.

    Raises:
        InvalidInput: nobody says the axes, or there is no such axis, or it may not have the value.
    """
    family = asked.family
    if asked.values is None or family is None or not family.places:
        raise InvalidInput(
            f"nothing says which axes {short(asked.point.label)} has, so its width cannot be "
            "solved: name a published MatchboxNet, QuartzNet or TC-ResNet, or a design of a study"
        )
    values = {**asked.values, **_read_changes(changes)}
    for name, value in values.items():
        family.check(name, value)
    if "policy" not in family.axes:
        if policy is not None:
            raise InvalidInput(
                f"family {family.name} has no axis 'policy': choose the kinds of its places "
                f"({', '.join(family.places)}) by --with, and leave --policy out"
            )
        if not _has_places(family, values):
            values |= dict.fromkeys(family.places, "ternary")
    elif policy is not None:
        values = {name: value for name, value in values.items() if not family.is_place(name)}
        values["policy"] = policy
    elif values.get("policy", "P0") == "P0" and not _has_places(family, values):
        values["policy"] = "P3"
    for _, why in family.clashes(values):
        raise InvalidInput(why)
    return family, values


def _has_places(family: Family, values: Values) -> bool:
    """Whether values of axes put another kind than dense somewhere."""
    found = set(of_kind(family, values, "bitnet").values())
    return not found.isdisjoint(("bitnet", "identity_or_bitnet"))


def _read_changes(changes: str | None) -> Values:
    """`repeats=2,density=0.125` as values of axes."""
    pairs = split_names(changes)
    for pair in pairs:
        if not re.fullmatch(r"\w+\s*=\s*[\w.]+", pair):
            raise InvalidInput(
                f"--with must be axes and values such as repeats=2,density=0.125, not {short(pair)}"
            )
    if not pairs:
        return {}
    node = parse_yaml("\n".join(pair.replace("=", ": ", 1) for pair in pairs), "--with")
    found: Values = node.plain()
    return found
