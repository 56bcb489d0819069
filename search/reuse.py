"""What earlier studies found: their best designs are tried again, and no training is repeated."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from dse.errors import InvalidInput
from dse.studies.baselines import Baseline
from dse.studies.frontier import find_frontier
from dse.studies.rows import Evaluation
from dse.studies.spec import StudySpec
from dse.studies.study import Study, open_study
from dse.training.job import Training


def earlier_studies(folders: Sequence[Path]) -> tuple[list[Study], list[str]]:
    """The earlier studies that can be read, and a sentence for each that cannot.

    One of another program must not keep a new study from starting: it is named and left out.
    """
    found, left_out = [], []
    for folder in folders:
        try:
            study = open_study(folder)
            study.pairs  # noqa: B018  (read, with what may be wrong with its rows)
            found.append(study)
        except InvalidInput as error:
            left_out.append(f"warm_start leaves out {folder}: {error}")
    return found, left_out


class Earlier:
    """The trained designs of the studies that a study starts from."""

    def __init__(self, spec: StudySpec, training: Training) -> None:
        self.spec = spec
        self.frontiers: list[Evaluation] = []
        self.trained: dict[str, tuple[str, Evaluation]] = {}
        same = (training.features.key, spec.recipe.key, spec.seed)
        for study in earlier_studies(spec.warm_start)[0]:
            self.frontiers += find_frontier(study.pairs, spec.objectives)
            for row in study.rows:
                told = row.quantised_error is not None or not spec.needs_int8
                if row.full and told and (row.data_key, row.recipe_key, row.seed) == same:
                    self.trained.setdefault(row.key, (study.folder.name, row))

    def find_baselines(self) -> Iterator[Baseline]:
        """The designs of their frontiers that lie in the space of this study."""
        known = set()
        for row in self.frontiers:
            if not row.values or row.key in known:
                continue
            known.add(row.key)
            try:
                values = self.spec.space.complete(row.values)
                point = None if values is None else self.spec.space.point(values)
            except InvalidInput:  # an axis that this version does not know
                continue
            if point is not None:
                name = f"{point.summary}, {point.key[:4]}"
                yield Baseline(name, point, values, published=False)

    def find_training(self, row: Evaluation) -> Evaluation | None:
        """The row of a design that was trained on the same data, recipe and seed; else None."""
        if row.key not in self.trained:
            return None
        study, found = self.trained[row.key]
        return dataclasses.replace(
            row,
            status="reused",
            error=found.error,
            quantised_error=found.quantised_error,
            best_epoch=found.best_epoch,
            epochs=found.epochs,
            computed=found.computed,
            reason=f"trained in {study}",
        )
