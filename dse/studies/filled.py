"""Studies whose designs fill a budget: widths are solved, not searched."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

from cost_models.strict_yaml import Node
from dse.columns import (
    COST_COLUMNS,
    STREAM_COLUMNS,
)
from dse.design.space import SearchSpace
from dse.errors import InvalidDesign, short
from dse.pricing.budget import Limit
from dse.pricing.filling import Filling, check_axis
from dse.pricing.hardware import Hardware
from dse.pricing.listening import Listening
from dse.pricing.machine import Machine
from dse.pricing.pricing import Pricing
from dse.studies.study_file import StudyFile


def read_fill(
    file: StudyFile, node: Node, space: SearchSpace, limits: Sequence[Limit], hardware: Hardware
) -> dict[str, float] | None:
    """The column that designs fill and its limit; None where the file has none.

    Raises:
        InvalidFile: no such column, it has no upper limit, the space decides the width as well, or
            machines differ in it.
    """
    if file.fill is None:
        return None
    at, column = node.value["fill"], file.fill
    known = COST_COLUMNS if file.stream is None else (*COST_COLUMNS, *STREAM_COLUMNS)
    if column not in known:
        close = difflib.get_close_matches(column, known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise at.error(
            f"fill: {hint}it must be a column that is known before a training, such as "
            f"trained_parameters, not {short(column)}"
        )
    bounds = [limit.bound for limit in limits if limit.upper and limit.column == column]
    if not bounds:
        raise at.error(f"fill: how much of {column} is said by limits: add max_{column} there")
    width = space.family.width
    try:
        check_axis(width, [], space.family)
    except InvalidDesign as error:
        raise at.error(f"fill: {error}") from None
    for choice in space.choices:
        if space.family.split(choice.name)[0] == width:
            raise at.error(
                f"fill: '{width}' is solved from the budget, so the space's '{choice.name}' would "
                f"be overruled: leave '{choice.name}' out, or leave out fill"
            )
    if len(hardware.machines) > 1 and column != "trained_parameters":
        raise at.error(
            f"fill: {len(hardware.machines)} machines differ in {column}, and a design has one "
            "width: fill trained_parameters, or name one machine"
        )
    return {column: bounds[0]}


def solved_space(
    space: SearchSpace,
    fill: Mapping[str, float],
    machines: Sequence[Machine],
    frames: int,
    outputs: int,
    listening: Listening | None = None,
) -> SearchSpace:
    """The space whose designs get the width that fills a budget (`dse.pricing.filling`).

    Args:
        space: without widths of blocks.
        fill: one column, and how much of it.
        machines: the first one is asked.
        frames: input frames of one inference.
        outputs: classes.
        listening: how a stream is taken in, where a column of one is filled.
    """
    [(column, amount)] = fill.items()
    pricing = Pricing(
        machines[:1],
        frames=frames,
        outputs=outputs,
        listening=listening if column in STREAM_COLUMNS else None,
    )
    solver = Filling(
        space.family,
        pricing,
        column,
        amount,
        in_channels=space.in_channels,
        axis=space.family.width,
    )
    return dataclasses.replace(space, solver=solver)
