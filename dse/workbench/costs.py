"""Prices in a notebook: spaces, machines, designs and whole sweeps as tables of pandas.

space -> sweep -> table of all designs -> frontier -> table of those that nothing dominates
designs -> price -> table with the bands of the constants
"""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cost_models import Objective, Workload, estimate
from cost_models.strict_yaml import dump_yaml, parse_yaml, read_yaml
from dse.columns import COST_COLUMNS, STREAM_COLUMNS
from dse.design.point import USUAL, DesignPoint, point_from_node
from dse.design.published import published
from dse.design.space import SearchSpace
from dse.design.space_file import space_from_node
from dse.errors import InvalidInput, require
from dse.networks.lowering import lower
from dse.networks.module_file import is_module_file, read_module_file
from dse.pareto import pareto_mask
from dse.pricing.budget import Budget, budget_from_node, in_time
from dse.pricing.listening import Listening, hop_figures, price_hop
from dse.pricing.machine import Machine
from dse.pricing.sweep import Chunk
from dse.pricing.sweep_results import Frontier, SweepJob, make_sweep
from dse.pricing.sweep_workers import price_units
from dse.report.priced import load_machine
from dse.studies.rows import table
from dse.studies.study import Study, open_study

if TYPE_CHECKING:
    import pandas as pd

USUAL_MACHINE = "kws_ternary"
FRAME_MS = 10.0
"""From one frame to the next, as MatchboxNet and QuartzNet have them."""
MOST_ROWS = 5_000_000
"""Of a table in memory: some 1.5 GB. More are for `dse sweep`, which writes them as it goes."""

Design = DesignPoint | Workload | str | os.PathLike[str]
"""A design point; layers, as `dse.trace` gives them; a published name; a YAML file; or a function
of a Python file that returns a module and an example, `my_net.py:build`."""


def read_space(space: Mapping[str, Any] | str | os.PathLike[str]) -> SearchSpace:
    """A search space, from the axes as a study file has them.

    Args:
        space: the section `space` of a study (`{"channels": [16, 32]}`, with `family` for another
            one than MatchboxNet), or a YAML file that has one.

    Raises:
        InvalidFile: an axis or a value that there is not; all of them at once.
        InvalidInput: the file has no such section.
    """
    if isinstance(space, Mapping):
        node = parse_yaml(dump_yaml(dict(space)), "space")
        return space_from_node(node, folders=(Path.cwd(),))
    node = read_yaml(Path(space))
    if not isinstance(node.value, dict) or "space" not in node.value:
        raise InvalidInput(f"{space} has no 'space' section: name a study file, or give the axes")
    return space_from_node(node.value["space"], folders=(Path(space).parent,))


def read_machine(
    machine: str | os.PathLike[str], technology: str | None = None, objective: Objective = "edp"
) -> Machine:
    """A machine with the technology that prices it.

    Args:
        machine: a name of the library, or a YAML file.
        technology: a name or file; the machine's own where it is None.
        objective: what the mapping of each layer minimises.

    Raises:
        InvalidInput: there is none of that name, or the file is wrong.
    """
    return Machine(*load_machine(str(machine), technology), objective)


def read_design(design: str | os.PathLike[str]) -> DesignPoint:
    """A design by its published name (`matchboxnet-3x1x64-P3`), or from a YAML file of ours.

    Raises:
        InvalidInput: there is no such name or file, or the file is wrong.
    """
    if Path(design).suffix in (".yaml", ".yml"):
        return point_from_node(read_yaml(Path(design)))
    return published(str(design))


def price(
    designs: Design | Iterable[Design],
    machines: str | Machine | Iterable[str | Machine] = USUAL_MACHINE,
    *,
    frames: int | None = None,
    outputs: int | None = None,
    rate: float = 1.0,
    hop_frames: int | None = None,
) -> "pd.DataFrame":
    """What one inference costs: a row a design and machine, in that order.

    Columns: `design`, `key`, `machine`, `technology`; all of `dse.columns.COST_COLUMNS`, with the
    bands of energy and area; of a hop also `dse.columns.STREAM_COLUMNS`; `misfits`, what the
    machine's memories have no room for (empty where all fits; priced as if it did).

    Args:
        designs: one or several.
        machines: names, YAML files or `read_machine`; one or several.
        frames: input frames of an inference; the usual ones of its head where it is None. Layers
            have their own.
        outputs: likewise.
        rate: inferences a second, of the average power.
        hop_frames: of a stream, the new frames (of 10 ms) that each hop computes.

    Raises:
        InvalidInput: a design or machine that there is not, a machine that cannot execute one, or
            a hop that strides do not divide.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for design in _several(designs, DesignPoint | Workload | str | os.PathLike):
        named = design_or_layers(design) if isinstance(design, str | os.PathLike) else design
        workload = _layers(named, frames, outputs)
        for machine in _machines(machines):
            hop: dict[str, float] = {}
            if hop_frames is not None:
                machine, hop = _listening(workload, machine, hop_frames)
            cost = estimate(workload, machine.accelerator, machine.technology, machine.objective)
            rows.append(
                {
                    "design": named.label if isinstance(named, DesignPoint) else named.name,
                    "key": named.key if isinstance(named, DesignPoint) else "",
                    "machine": machine.accelerator.name,
                    "technology": machine.technology.name,
                }
                | cost.columns(rate)
                | hop
                | {"misfits": "; ".join(cost.misfits)}
            )
    return pd.DataFrame(rows)


def sweep(
    space: SearchSpace | Mapping[str, Any],
    machines: str | Machine | Iterable[str | Machine] = USUAL_MACHINE,
    *,
    limits: Mapping[str, float] | None = None,
    frames: int | None = None,
    outputs: int | None = None,
    rate: float = 1.0,
    hop_frames: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    workers: int = 1,
) -> "pd.DataFrame":
    """Price a whole space, or a sample of it, without training: a row a design and machine.

    Columns: a column an axis (`axis_channels`; None where it does not matter), `machine`, all of
    `dse.columns.COST_COLUMNS` (NaN where no network can be built, or the machine cannot execute
    it), with a hop also of `dse.columns.STREAM_COLUMNS`, and `feasible`: it can, fits the memories,
    and keeps the limits, with a hop also real time.

    Args:
        space: of `read_space`, or its axes.
        machines: as for `price`.
        limits: `{"max_trained_parameters": 20_000}`, in the units of the columns.
        frames: input frames of an inference; the usual ones of the family where it is None.
        outputs: likewise.
        rate: inferences a second, of the average power.
        hop_frames: of a stream, the new frames (of 10 ms) that each hop computes.
        sample: so many designs, drawn by `seed`; all where it is None.
        seed: of the sample.
        workers: processes that price; the table does not depend on it. A script that asks for more
            than one needs `if __name__ == "__main__":` around what it does, as they import it.

    Raises:
        InvalidInput: something is wrong with an argument, or the table would have more than
            `MOST_ROWS` rows.
    """
    import pandas as pd

    found = space if isinstance(space, SearchSpace) else read_space(space)
    usual, offered = USUAL[found.family.head], _machines(machines)
    listening = None if hop_frames is None else Listening(hop_frames, FRAME_MS)
    require(workers >= 1, "workers", "at least 1", workers)
    job = SweepJob(
        space=found,
        machines=tuple(offered),
        frames=frames or usual.frames,
        outputs=outputs or usual.outputs,
        budget=_budget(limits or {}, listening),
        rate=rate,
        sample=sample,
        seed=seed,
        objectives={},
        listening=listening,
    )
    walk = make_sweep(job)
    rows = min(sample or walk.size, walk.size) * len(offered)
    if rows > MOST_ROWS:
        raise InvalidInput(
            f"a table of {rows:,} rows does not fit: at most {MOST_ROWS:,}; give a sample, or let "
            "`dse sweep` write them to a Parquet file"
        )
    names = [choice.name for choice in found.choices]
    units = price_units(job, walk, workers, Frontier({}))
    frame = pd.concat([_frame(chunk, names) for unit in units for chunk in unit.chunks])
    return frame.reset_index(drop=True)


def frontier(
    designs: "pd.DataFrame | Study | str | os.PathLike[str]", objectives: Sequence[str] = ()
) -> "pd.DataFrame":
    """The designs that no other dominates, by the first objective.

    Args:
        designs: a table, as `sweep` or `dse.load_results` give it; or a study or its folder, whose
            rows on all of its machines are held together.
        objectives: columns, all minimised: two at least of a table; of a study its own where none
            are given.

    Returns:
        Rows of the table. What is not feasible, and what has no figure, is never among them.

    Raises:
        InvalidInput: there is no such column, or none is given for a table.
    """
    if isinstance(designs, str | os.PathLike):
        designs = open_study(Path(designs))
    if isinstance(designs, Study):
        if not objectives:
            return table(designs.frontier)
        designs = table(designs.pairs)
    missing = [name for name in objectives if name not in designs.columns]
    if missing or not objectives:
        what = f"the table has no column '{missing[0]}'" if missing else "no objective is given"
        raise InvalidInput(f"{what}: name columns such as energy_pj, all of them minimised")
    figures = designs[list(objectives)].to_numpy(dtype=float)
    if "feasible" in designs.columns:
        figures = np.where(designs["feasible"].to_numpy(bool)[:, None], figures, np.nan)
    return designs[pareto_mask(figures)].sort_values(list(objectives))


def _several(given: Any, single: Any) -> list[Any]:
    return [given] if isinstance(given, single) else list(given)


def _machines(given: Any) -> list[Machine]:
    return [
        each if isinstance(each, Machine) else read_machine(each)
        for each in _several(given, Machine | str | os.PathLike)
    ]


def _layers(design: DesignPoint | Workload, frames: int | None, outputs: int | None) -> Workload:
    if isinstance(design, DesignPoint):
        usual = USUAL[design.head]
        return lower(design, frames=frames or usual.frames, outputs=outputs or usual.outputs)
    if frames is not None or outputs is not None:
        raise InvalidInput(
            f"frames and outputs of {design.name} are those of its layers: leave them out"
        )
    return design


def design_or_layers(source: str | os.PathLike[str]) -> DesignPoint | Workload:
    """A design by name or file; layers of a module in a Python file, which is run."""
    if not is_module_file(str(source)):
        return read_design(source)
    from dse.networks.tracing import trace

    return trace(*read_module_file(str(source)))


def _listening(
    workload: Workload, machine: Machine, hop_frames: int
) -> tuple[Machine, dict[str, float]]:
    """The machine that is built for a stream, and the columns of a hop on it.

    Memories that fit are as large as the stream needs, and all columns are those of that machine,
    as in a study that listens.
    """
    cost, found = price_hop(workload, machine, hop_frames)
    if machine.accelerator.to_fit:
        machine = dataclasses.replace(machine, accelerator=cost.accelerator)
    return machine, hop_figures(cost, found, Listening(hop_frames, FRAME_MS))


def _budget(limits: Mapping[str, float], listening: Listening | None) -> Budget:
    columns = COST_COLUMNS if listening is None else (*COST_COLUMNS, *STREAM_COLUMNS)
    node = parse_yaml(dump_yaml(dict(limits)), "limits")
    budget = budget_from_node(node, columns) if limits else Budget()
    if listening is None:
        return budget
    return Budget(in_time(budget.limits, "hop_latency_us", listening.hop_us))


def _frame(chunk: Chunk, names: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    axes = {f"axis_{name}": chunk.axis(name) for name in names}
    machine = {"machine": chunk.machine.accelerator.name}
    # Where the hop fits no design of a piece, its columns are not there.
    named = [name for name in (*COST_COLUMNS, *STREAM_COLUMNS) if name in chunk.columns]
    columns = {name: chunk.columns[name] for name in named}
    return pd.DataFrame(axes | machine | columns | {"feasible": chunk.feasible})
