"""How a search looks in the terminal."""

import math
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
)

from dse.columns import shown
from dse.design.point import DesignPoint
from dse.studies.likeness import is_control
from dse.studies.rows import Evaluation
from search.state import State
from search.survey import Survey

SHOWN_INFEASIBLE = 3
"""So many infeasible candidates in a row are printed; a longer row is counted."""


class TerminalProgress:
    """Prints a line for each trained design, and bars where the output is a terminal."""

    def __init__(self, console: Console, measured: str = "error") -> None:
        """Begin with nothing shown.

        Args:
            console: to print on.
            measured: the error that the study minimises, which is told first.
        """
        self.console, self.measured = console, measured
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not (console.is_terminal or console.is_jupyter),
            transient=True,
        )
        self.preparation: TaskID | None = None
        self.study: TaskID | None = None
        self.designs: dict[str, TaskID] = {}
        self.infeasible = 0
        self.done_before = 0.0
        self.begun: float | None = None

    def __enter__(self) -> "TerminalProgress":
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def preparing(self, what: str, done: int, total: int) -> None:
        """Show how far the features are."""
        if self.preparation is None:
            self.preparation = self.bars.add_task(what, note="")
        self.bars.update(self.preparation, description=what, completed=done, total=total)

    def data(self, findings: Sequence[str]) -> None:
        """Say what the data say against errors."""
        for finding in findings:
            self.console.print(f"[yellow]caution:[/yellow] {escape(finding)}")

    def started(self, found: Survey, state: State) -> None:
        """Say what is searched."""
        if self.preparation is not None:
            self.bars.remove_task(self.preparation)
        share = 100 * found.feasible / found.sampled
        self.console.print(
            f"space: {found.size:,} designs; of {found.sampled} at random {share:.0f} % keep the "
            f"limits, with {shown(found.lowest['trained_parameters'], 'trained_parameters')} to "
            f"{shown(found.highest['trained_parameters'], 'trained_parameters')} trained "
            "parameters"
        )
        if state.candidates:
            self.console.print(
                f"resumed: {state.candidates} candidates priced, {state.trained} trained so far"
            )
        self.done_before = state.done
        self.study = self.bars.add_task("designs trained", total=state.trainings, note="")
        self._show(state)

    def training(self, point: DesignPoint, cost: dict[str, float], epochs: int) -> None:
        """Show a design that is being trained."""
        self._flush_infeasible()
        if self.begun is None:
            self.begun = time.monotonic()
        self.designs[point.key] = self.bars.add_task(f"  {point.label}", total=epochs, note="")

    def epoch(self, point: DesignPoint, record: Any) -> None:
        """Show the design's error so far."""
        if point.key in self.designs:
            self.bars.update(
                self.designs[point.key],
                completed=record.epoch,
                note=f"validation error {100 * record.validation_error:.1f} %",
            )

    def evaluated(self, row: Evaluation, state: State) -> None:
        """Say what came out."""
        if row.key in self.designs and (row.error is not None or row.status == "failed"):
            self.bars.remove_task(self.designs.pop(row.key))
        if row.status == "infeasible" and row.error is None:
            self.infeasible += 1
            if self.infeasible <= SHOWN_INFEASIBLE:
                self.console.print(
                    f"[dim]{_title(row)}: over the limits: {escape(row.reason)}[/dim]"
                )
        else:
            self._flush_infeasible()
            self.console.print(_describe(row, self.measured))
        if row.full:
            self.console.print(
                f"      trained {state.trained}/{state.trainings}, frontier {state.frontier}, "
                f"hypervolume {state.hypervolume:.3f}, {self._time_left(state)}".removesuffix(", ")
            )
        self._show(state)

    def _flush_infeasible(self) -> None:
        if self.infeasible > SHOWN_INFEASIBLE:
            more = self.infeasible - SHOWN_INFEASIBLE
            self.console.print(f"[dim]      and {more} more over the limits[/dim]")
        self.infeasible = 0

    def _time_left(self, state: State) -> str:
        """From what this run has done since its first training."""
        if state.done >= 1:
            return "done"
        done = state.done - self.done_before
        if self.begun is None or done <= 0:
            return ""
        seconds = (1 - state.done) * (time.monotonic() - self.begun) / done
        return (
            f"about {seconds / 60:.1f} min left" if seconds >= 60 else f"about {seconds:.0f} s left"
        )

    def _show(self, state: State) -> None:
        if self.study is not None:
            self.bars.update(
                self.study,
                completed=state.trained,
                note=f"{state.candidates} priced, frontier {state.frontier}, hypervolume "
                f"{state.hypervolume:.3f}, {self._time_left(state)}",
            )


def _title(row: Evaluation) -> str:
    number = "base" if row.trial < 0 else f"{row.trial:4d}"
    control = ", dense control" if is_control(row) else ""
    return f"{number}  {escape(row.name) or 'no network'}{control}"


def _describe(row: Evaluation, measured: str) -> str:
    if row.status in ("trained", "stopped"):
        seconds = row.training_seconds or 0.0
        after = f" after {row.epochs} epochs" if row.status == "stopped" else ""
        title = f"[bold]{_title(row)}[/bold]" if row.status == "trained" else _title(row)
        return (
            f"{title}{after}: {_errors(row, measured)}, "
            f"{shown(row.cost['energy_pj'], 'energy_pj')} µJ, "
            f"{shown(row.cost['latency_us'], 'latency_us')} ms, "
            f"{row.cost['trained_parameters']:,} trained parameters ({seconds:.0f} s)"
        )
    return f"[yellow]{_title(row)}: {row.status}: {escape(row.reason)}[/yellow]"


def _errors(row: Evaluation, measured: str) -> str:
    """The error that the study minimises, and in brackets the other one, where it is known."""
    floats = f"{shown(row.column('error'), 'error')} %"
    if math.isnan(row.column("quantised_error")):
        return f"error {floats}"
    whole = f"{shown(row.column('quantised_error'), 'quantised_error')} %"
    if measured == "error":
        return f"error {floats} (in whole numbers {whole})"
    return f"error in whole numbers {whole} (in floats {floats})"
