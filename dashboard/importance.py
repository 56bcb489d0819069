"""Which axes of the space matter: for the error, and for each cost.

The shares are Optuna's own (`optuna.importance`), of the rows of the study: each row a finished
trial, each axis a parameter, one figure after the other the target. Three ways, which answer
different questions:

    fANOVA           what share of the variance over the whole space is due to this axis alone?
                     A forest is fitted to the figures, and its variance is divided (Hutter et al.,
                     ICML 2014).
    PED-ANOVA        what decides whether a design is among the best tenth? Densities of the best
                     are held against those of all (Watanabe et al., IJCAI 2023).
    mean decrease    by how much do splits on this axis reduce the impurity of a forest? Favours
    in impurity      axes of many values.

Traps: an axis that does not matter to a design (the density of a dense one) has no value there, so
it is a list of values of which `-` is one. Designs were proposed by a search, not drawn at random:
what it left early it hardly knows, so shares are of where it looked. Few rows say little: below
`LEAST_ROWS` there is none.

Optuna stands here for its evaluators alone: pages read the rows of a study, never its storage.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from dashboard.charts import Option, axis, chart
from dashboard.charts import names as names_axis
from dashboard.slices import in_order, texts_of
from dashboard.texts import label, name_of
from dse.colours import SERIES
from dse.columns import MEASURED_COLUMNS

if TYPE_CHECKING:
    import optuna

Way = Literal["fANOVA", "PED-ANOVA", "mean decrease in impurity"]
WAYS: tuple[Way, ...] = get_args(Way)
LEAST_ROWS = 10
MOST_ROWS = 2_000
"""Of a study with more, a sample: a forest of 10,000 rows takes a minute, and says the same."""
TREES = 64


def targets_of(frame: pd.DataFrame, measured: str, objectives: Sequence[str]) -> list[str]:
    """Figures whose importances are asked for: the error, then each cost of the study."""
    wanted = dict.fromkeys((measured, *objectives))
    costs = [name for name in wanted if name not in MEASURED_COLUMNS]
    usual = costs or ["energy_pj"]
    return [name for name in (measured, *usual) if name in frame and frame[name].notna().any()]


def importances(
    frame: pd.DataFrame, axes: Sequence[str], targets: Sequence[str], way: Way
) -> pd.DataFrame:
    """The share of each axis in each figure; of one figure they add up to 1, or are all 0.

    Args:
        frame: a row a design, those of the search alone; all of them have their axes.
        axes: columns `axis_...` of more than one value.
        targets: columns. Of the error only trained rows count, of a cost all that were priced.
        way: of computing them.

    Returns:
        A row an axis, the most important for the first figure on top; a column a figure. A figure
        of fewer than `LEAST_ROWS` rows, or of one value, has no column.
    """
    found = {}
    for target in targets:
        rows = frame.dropna(subset=[target])
        if len(rows) >= LEAST_ROWS and rows[target].nunique() > 1:
            found[target] = _shares(
                rows, [each for each in axes if _differs(rows[each])], target, way
            )
    table = pd.DataFrame(found, index=list(axes)).fillna(0.0)
    return table.sort_values(list(table.columns), ascending=False) if len(table.columns) else table


def _differs(column: "pd.Series[Any]") -> bool:
    return bool(column.nunique(dropna=False) > 1)


def _shares(frame: pd.DataFrame, axes: Sequence[str], target: str, way: Way) -> dict[str, float]:
    if not axes:
        return {}
    import optuna

    if len(frame) > MOST_ROWS:
        frame = frame.iloc[np.sort(np.random.default_rng(1).choice(len(frame), MOST_ROWS, False))]
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(direction="minimize")
            study.add_trials(_trials(frame, axes, target))
            found = optuna.importance.get_param_importances(study, evaluator=_evaluator(way))
    finally:
        optuna.logging.set_verbosity(level)
    return {name: float(share) for name, share in found.items() if np.isfinite(share)}


def _evaluator(way: Way) -> "optuna.importance.BaseImportanceEvaluator":
    from optuna import importance

    if way == "PED-ANOVA":
        return importance.PedAnovaImportanceEvaluator()
    if way == "fANOVA":
        return importance.FanovaImportanceEvaluator(n_trees=TREES, seed=1)
    return importance.MeanDecreaseImpurityImportanceEvaluator(n_trees=TREES, seed=1)


def _trials(
    frame: pd.DataFrame, axes: Sequence[str], target: str
) -> "list[optuna.trial.FrozenTrial]":
    """Rows as finished trials; axes of numbers are numbers, all else lists of texts."""
    import optuna

    kinds: dict[str, optuna.distributions.BaseDistribution] = {}
    columns: dict[str, list[Any]] = {}
    for name in axes:
        column = frame[name]
        is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if is_number and column.notna().all():
            columns[name] = [float(value) for value in column]
            kinds[name] = optuna.distributions.FloatDistribution(
                min(columns[name]), max(columns[name])
            )
        else:
            columns[name] = texts_of(column).tolist()
            kinds[name] = optuna.distributions.CategoricalDistribution(in_order(column))
    values = frame[target].astype(float).tolist()
    return [
        optuna.trial.create_trial(
            value=value,
            params={name: columns[name][place] for name in axes},
            distributions=kinds,
        )
        for place, value in enumerate(values)
    ]


def importance_chart(table: pd.DataFrame) -> Option:
    """Shares as bars, an axis of the space a group, in percent.

    Args:
        table: of `importances`.
    """
    places = [label(name) for name in table.index]
    series = [
        {
            "type": "bar",
            "name": name_of(target),
            "table": pd.DataFrame({"axis": places, "share (%)": 100 * table[target].to_numpy()}),
            "encode": {"x": "share (%)", "y": "axis", "tooltip": ["axis", "share (%)"]},
            "itemStyle": {"color": tint},
        }
        for target, tint in zip(table.columns, SERIES, strict=False)
    ]
    return chart(
        series,
        grid={"top": 8, "bottom": 64, "left": 4, "right": 24},
        xAxis=axis("share of the importance (%)", (0.0, 100.0)),
        yAxis=names_axis(places, inverse=True),
    )
