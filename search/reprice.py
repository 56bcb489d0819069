"""Price a study's record again, after the machine, the technology or the cost model has changed.

A trained network stays trained: only its costs are computed anew. Designs that a limit kept from
being trained stay untrained, and those that were trained stay on record, over a limit or not.
"""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from dse.errors import InvalidInput, InvalidStudy
from dse.files import write_together
from dse.pricing.pricing import Pricing
from dse.pricing.sweep import Sweep
from dse.studies.folder import GIVEN, REPRICED, RESOLVED
from dse.studies.resolved import readable_yaml
from dse.studies.rows import FILE_NAME, Evaluation, read_all_rows, repair
from dse.studies.spec import StudySpec
from dse.studies.study import Study, open_study
from dse.studies.unchanged import PRICED, check_unchanged
from search.storage import DATABASE, locked
from search.survey import measure_box, survey


@dataclasses.dataclass(frozen=True, slots=True)
class Repriced:
    """What pricing again came to."""

    rows: int
    before: tuple[Evaluation, ...]
    """The frontier as it was."""
    after: tuple[Evaluation, ...]


def reprice_study(
    spec: StudySpec, given: str, folder: Path, *, cache: Path | None = None
) -> Repriced:
    """Compute all costs of a study anew and write them in place of the old ones.

    The storage of Optuna is set aside: the next search makes it from the rows.

    Args:
        spec: the study as it is now; machine, technology, limits and objectives may differ.
        given: text of the study file.
        folder: of the study.
        cache: folder of the feature cache.

    Raises:
        InvalidStudy: the folder holds no study, or one of another space, data or recipe.
    """
    study = open_study(folder)
    check_unchanged(spec, study.asked, str(folder), also=PRICED)
    spec = spec.of_outputs(study.begun.outputs)
    with locked(folder):
        repair(folder)
        history = read_all_rows(folder)
        before = study.frontier
        pricing = spec.make_pricing(study.begun.outputs)
        rows = [_price_row(row, study, spec, pricing) for row in history]
        sweep = Sweep(spec.space, pricing)
        box = measure_box(spec.objectives, survey(sweep, seed=spec.seed))
        resolved = readable_yaml(spec, dataclasses.replace(study.begun, box=box), folder)
        # Before the prices change: rows of either price make it again, and a search that begins
        # after the change has a new one.
        for path in folder.glob(f"{DATABASE}*"):
            path.unlink()
        write_together(
            folder / REPRICED, {FILE_NAME: _lines(rows), GIVEN: given, RESOLVED: resolved}
        )
        return Repriced(len(rows), before, open_study(folder).frontier)


def _price_row(row: Evaluation, study: Study, spec: StudySpec, pricing: Pricing) -> Evaluation:
    """A row with the costs of today; its status changes only where a limit does.

        was                            and now                     becomes
        not trained, over a limit      within all                  infeasible, for it has no error
        fully trained                  over a limit                infeasible, its error kept
        over a limit on its error      within all                  trained
        anything                       cannot be executed          invalid
        invalid, or without a design                               as it was

    Whatever it becomes, its costs are those of today, or none where it is invalid.
    """
    if row.status == "invalid" or not row.key:
        return row
    try:
        point = study.build_point(row)
        if point is None:
            raise InvalidStudy("nothing in the study says any more what this network was")
        priced = pricing.best(point)
    except InvalidInput as error:
        return dataclasses.replace(row, status="invalid", reason=str(error), cost={})
    named = {
        "accelerator": priced.machine.accelerator.name,
        "technology": priced.machine.technology.name,
        "cost": priced.columns,
    }
    row = dataclasses.replace(row, **named)  # type: ignore[arg-type]
    over = priced.reason
    if row.error is None:
        if row.status == "infeasible" and not over:
            over = "was over a limit when it was proposed, and is not trained"
        return dataclasses.replace(row, reason=over or row.reason)
    if spec.needs_int8 and row.quantised_error is None:
        over = over or "its error in whole numbers is not known"
    over = over or spec.measured_budget.explain(row.measured)
    if row.full and over:
        return dataclasses.replace(row, status="infeasible", reason=over)
    if row.over_in_error and not over:
        return dataclasses.replace(row, status="trained", reason="")
    return row


def _lines(rows: Sequence[Evaluation]) -> str:
    return "".join(json.dumps(row.to_dict(), allow_nan=False) + "\n" for row in rows)
