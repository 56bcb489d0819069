"""The answer first: what to build and why, in plain sentences that follow from the rows.

Each sentence is computed, and left out where its premise does not hold. In order:

    what to build           the lowest error of all trained designs, or the cheapest within the
                            reader's limit (`dse.report.choice`), on the machine that is better in
                            every cost, with interval, cost, power and what they leave out; and what
                            network that is
    a machine too large     memories that it leaves empty, and what the machine that fits would take
    how sure that is        what fresh seeds say where `dse confirm` ran; else a warning, at the end
    the knee                where the frontier bends, if that is another design
    ternary or dense        the best of each, wherever it stands on the cost axis
    at its cost             the best dense design that is alike or costs no more, where that is
                            another one
    what is missing         dense controls that would have to be trained, with the command
    cheaper than dense      part of the frontier that no dense design was tried in
    where it goes           the dearest component and layer

"Ternary or dense" is no verdict by itself: two best designs of different size say nothing about the
matrices. So it ends in one only where the two are alike (`dse.studies.likeness`), and the sentences
after it say what fair dense designs there are, and which are missing.
"""

import math
from collections import Counter
from collections.abc import Sequence

from cost_models import Band, Cost
from cost_models.application import Use
from dse.columns import (
    LABELS,
    MEASURED_COLUMNS,
    percent_text,
    percent_words,
    ratio_text,
    scaled,
    share_words,
    significant,
)
from dse.pricing.application import left_out, power_at
from dse.pricing.priced import Priced
from dse.report.breakdowns import compared_points, where_it_goes
from dse.report.choice import Choice, choose, find_better
from dse.report.comparison import (
    DENSE,
    UNLIKE,
    Rivals,
    find_best,
    find_rivals,
    list_dense,
    missing_words,
    read_area,
    read_energy,
    read_quantised_error,
    say_verdict,
)
from dse.report.confirmation import sure_words
from dse.report.content import Section
from dse.report.cost_tables import say_machine
from dse.report.network import network_words
from dse.report.oversized import fitted_words, oversized_words
from dse.studies.confirmed import Confirmed
from dse.studies.differences import Difference, FreshDifference, find_difference
from dse.studies.frontier import find_frontier
from dse.studies.likeness import LIKE, SIZE, alike_in
from dse.studies.mistakes import find_mistakes
from dse.studies.rows import Evaluation
from dse.studies.study import Study, named, say_nothing_trained

SILENT = 0.95
"""Above this error rate nothing was learnt: a network that writes nothing down has 1."""


def find_knee(front: Sequence[Evaluation], cost: str, measured: str) -> Evaluation | None:
    """Where a frontier bends: beyond it, less error costs disproportionately more.

    The design farthest below the straight line between the frontier's ends, error against the
    logarithm of cost, both scaled to 0..1. With x = 0 at the cheapest and y = 0 at the lowest error
    the line is x + y = 1, and 1 - x - y is the distance below it (times the square root of 2):

        1 *                    the line from * to *; the knee is the o
          |  `  .
        y |  o     `  .
          |        o     ` .
        0 +------------------*
          0        x         1

    The logarithm is there because costs of a study span decades: on a linear axis nearly every
    frontier would have its knee at its cheapest designs.

    Args:
        front: of error and cost, cheapest first, both minimised.
        cost: the column of `front` that is across.
        measured: the error that is up: `error`, or `quantised_error`.

    Returns:
        None for fewer than three designs, for a cost of 0, for ends that are equal in cost or in
        error, and where no design lies below the line.
    """
    if len(front) < 3 or front[0].column(cost) <= 0:
        return None
    logs = [math.log10(row.column(cost)) for row in front]
    errors = [row.column(measured) for row in front]
    if logs[-1] == logs[0] or errors[0] == errors[-1]:
        return None
    below = [
        1 - (log - logs[0]) / (logs[-1] - logs[0]) - (error - errors[-1]) / (errors[0] - errors[-1])
        for log, error in zip(logs, errors, strict=True)
    ]
    lowest = max(range(len(front)), key=lambda index: below[index])
    return front[lowest] if below[lowest] > 1e-9 else None


def choose_answers(results: Study, max_error: float | None = None) -> list[tuple[Evaluation, str]]:
    """The designs that an answer is about, each once, with why.

    What to build first, then the lowest error, the knee, the best ternary and the best dense
    design: five at most, often fewer, as one design may be several of them (`lowest error, best
    with ternary matrices`).

    Args:
        results: the study.
        max_error: of the reader, in percent.
    """
    if not results.judged:
        return []
    error, choice = _error(results), choose(results, max_error)
    ternary, dense = _best_of_each(results)
    wanted: list[tuple[Evaluation | None, str]] = []
    if choice.limit is not None:
        article = "an" if error.startswith("e") else "a"
        wanted = [(choice.row, f"cheapest with {article} {error} of at most {choice.limit:g} %")]
    wanted += [(_lowest(results), f"lowest {error}"), (_bend(results), "knee of the frontier")]
    wanted += [(ternary, "best with ternary matrices"), (dense, "best dense design")]
    found: dict[tuple[str, str], tuple[Evaluation, list[str]]] = {}
    for row, why in wanted:
        if row is not None:
            found.setdefault((row.key, row.accelerator), (row, []))[1].append(why)
    return [(row, ", ".join(why)) for row, why in found.values()]


def _error(results: Study) -> str:
    """`error`, or `error in whole numbers` where the study minimises that; of sentences a rate."""
    return results.asked.name_column(results.asked.measured)


def _lowest(results: Study) -> Evaluation | None:
    return find_best(results.judged, results.cost_objective, results.asked.measured)


def _plane(results: Study) -> list[Evaluation]:
    """The frontier of the error and the first cost, whatever else the study minimises."""
    return find_frontier(results.judged, (results.asked.measured, results.cost_objective))


def _front_words(results: Study) -> str:
    """What `_plane` is called: `the frontier`, where the study minimises nothing else."""
    if len(results.asked.objectives) == 2:
        return "the frontier"
    return f"the frontier of {_error(results)} and {LABELS[results.cost_objective][0]} alone"


def _bend(results: Study) -> Evaluation | None:
    return find_knee(_plane(results), results.cost_objective, results.asked.measured)


def say_question(results: Study, max_error: float | None = None) -> str:
    """What the study asked: its objectives, limits and machines as one question.

    Args:
        results: the study.
        max_error: of the reader, in percent.
    """
    if max_error is not None:
        return (
            f"{say_question(results)} And which is the cheapest with at most {max_error:g} % "
            f"{_error(results)}?"
        )
    asked = results.asked
    objectives = [asked.name_column(name) for name in asked.objectives]
    together = f"{', '.join(objectives[:-1])} and {objectives[-1]}"
    limits = limits_words(asked.limits)
    within = f" within {limits}" if limits else ""
    if results.asked.several_machines:
        return (
            f"Which design, and on which of {asked.machine_words}, has the least "
            f"{together}{within}?"
        )
    return f"Which design has the least {together}{within}, on {asked.machine_words}?"


def limits_words(limits: dict[str, float]) -> str:
    """`at most 10,000 trained parameters, at least ...`; empty where there are no limits.

    Args:
        limits: `max_` or `min_` and a column -> bound, in the unit of the column (pJ, us); words
            have the unit for people (µJ, ms).
    """
    words = []
    for name, bound in limits.items():
        kind, _, column = name.partition("_")
        most = "at most" if kind == "max" else "at least"
        if column in LABELS:
            label, unit, _ = LABELS[column]
            amount = f"{scaled(bound, column):,.6g} {unit}".rstrip()
            of = "of " if unit and column not in MEASURED_COLUMNS else ""
            words.append(f"{most} {amount} {of}{label}")
        else:
            words.append(f"{most} {bound:,.6g} {column}")
    return ", ".join(words)


def answer_section(
    results: Study,
    chosen: Sequence[Priced],
    use: Use,
    confirmed: Sequence[Confirmed] = (),
    *,
    max_error: float | None = None,
    elsewhere: Sequence[Priced] = (),
) -> Section:
    """Question and answer.

    Args:
        results: the study.
        chosen: designs that are priced anew; sentences on layers, network and power need them.
        use: rate at which the power is told.
        confirmed: what `dse confirm` found; empty where it never ran.
        max_error: of the reader, in percent.
        elsewhere: the design to build on further machines.
    """
    sentences = [say_question(results, max_error)]
    sentences += filter(None, [progress_words(results)])
    sentences += filter(None, [price_words(results)])
    if not results.judged:
        points: list[str] = [nothing_trained(results)]
    else:
        choice = choose(results, max_error)
        found = _answer(results, choice, chosen, use, confirmed, elsewhere)
        points = [point for point in found if point]
    return Section(
        name="answer", title="Question and answer", sentences=tuple(sentences), points=tuple(points)
    )


def progress_words(results: Study) -> str:
    """A sentence where the study has not ended; empty where it has."""
    if results.ended_by:
        return ""
    asked = results.asked
    return (
        f"The study is in progress: {asked.effort.trained(results.rows):,} of "
        f"{asked.trainings:,} trainings are done, and {len(results.rows):,} of at most "
        f"{asked.candidates:,} candidates are priced. What follows may change."
    )


def price_words(results: Study) -> str:
    """Of which day the costs are, where a study with several machines was searched; else empty."""
    if not results.asked.several_machines or not results.judged:
        return ""
    text = "Costs are today's, of each trained network on all machines of the study."
    if not (old := results.as_recorded):
        return text
    names = ", ".join(named(row) for row in old[:3])
    more = f" and {len(old) - 3} more" if len(old) > 3 else ""
    return (
        f"{text} Those of {names}{more} are as they were recorded: nothing says any more what the "
        "network was, or by today's model no machine of the study suits it."
    )


def nothing_trained(results: Study) -> str:
    """Why there is no answer, and what to do: mend what fails, go on, or raise the limits."""
    if results.trained:
        return (
            f"There is no answer: of {len(results.trained)} trained designs none has an "
            f"{_error(results)}, which the study minimises. Search anew, in another folder."
        )
    text = f"There is no answer yet: no design is trained ({status_words(results.rows)})."
    failed = next((row for row in results.rows if row.status == "failed"), None)
    if failed is not None and all(row.status != "stopped" for row in results.rows):
        return (
            f"{text} Every training failed; the first because: {failed.reason}. Mend that, "
            "then let the search go on."
        )
    if any(row.over_in_error for row in results.rows):
        return f"There is no answer: {say_nothing_trained(results.rows)}."
    return f"{text} Let the search go on, or raise its limits."


def status_words(rows: Sequence[Evaluation]) -> str:
    """`26 trained, 3 infeasible`: how many rows of each status, in the order of their firsts."""
    counts = Counter(row.status for row in rows)
    return ", ".join(f"{count:,} {status}" for status, count in counts.items())


def _answer(
    results: Study,
    choice: Choice,
    chosen: Sequence[Priced],
    use: Use,
    confirmed: Sequence[Confirmed],
    elsewhere: Sequence[Priced],
) -> list[str]:
    best = choice.row
    place = (best.key, best.accelerator)
    own = next((each for each in chosen if _place(each) == place), None)
    better = None if own is None else find_better(own, elsewhere, use)
    built = better or own
    points = [choice.missed, _build(results, choice, own, better, use)]
    if built is not None:
        points.append(f"It has {network_words(built.design)}.")
    # What contradicts the answer stands beside it, what only limits it at the end.
    sure = sure_words(results, best, confirmed, choice.limit)
    points += sure if confirmed else []
    if built is not None:
        points.append(oversized_words(built, use))
        if sizes := fitted_words(built.cost):
            points.append(f"Of its machine, {sizes}: as large as it needs.")
    points += _others_words(results, choice)
    points += [_ternary_or_dense(results), _at_its_cost(results)]
    points += [missing_words(results), _cheaper_than_dense(results)]
    if built is not None:
        where = f"{named(best)} on {say_machine(built.cost)}" if better else results.named(best)
        points.append(f"In {where}: {_lower_first(where_it_goes(built.cost))}")
    points += [] if confirmed else sure
    points += compared_points([*chosen, *([better] if better else [])], use)
    return points


def _place(each: Priced) -> tuple[str, str]:
    """The key of a network, and the name of its machine, as a row has them."""
    return each.point.key, each.cost.accelerator.name


def _others_words(results: Study, choice: Choice) -> list[str]:
    """The knee, where that is a cheaper design; and the lowest error, where that is another one."""
    cost, row = results.cost_objective, choice.row
    texts = []
    knee = _bend(results)
    as_good = _find_as_good(results, row) if choice.limit is None else None
    if knee is not None and knee.key != row.key and knee.column(cost) < row.column(cost):
        texts.append(_knee(results, knee, row, as_good))
    if as_good is not None and as_good != knee:
        texts.append(_as_good_words(results, as_good, row))
    best = _lowest(results)
    if best is not None and best.key != row.key:
        texts.append(
            f"The lowest {_error(results)} of all has {results.named(best)}, "
            f"{percent_words(best.column(results.asked.measured))}, "
            f"{_times_words(best, row, cost)}{_surely_words(results, row, best, cheapest=False)}."
        )
    return texts


def _find_as_good(results: Study, row: Evaluation) -> Evaluation | None:
    """The cheapest design that is not told apart from the one of the lowest error; None of none.

    The lowest of many errors is not surely lower than the next: who pays for it should know.
    """
    cost, asked = results.cost_objective, {row.key}
    for each in sorted(results.judged, key=lambda each: each.column(cost)):
        if each.column(cost) >= row.column(cost):
            break
        if each.key not in asked:
            asked.add(each.key)  # its other machines are dearer, and its error is the same
            difference = find_difference(results, each, row)
            if difference is not None and difference.sign == 0:
                return each
    return None


def _as_good_words(results: Study, each: Evaluation, row: Evaluation) -> str:
    difference = find_difference(results, each, row)
    assert difference is not None  # `_find_as_good` knew it
    return (
        f"The cheapest design that is not told apart from it is {results.named(each)}, "
        f"{percent_words(each.column(results.asked.measured))}, "
        f"{_times_words(each, row, results.cost_objective)}: the difference of {difference.words}."
    )


def _times_words(row: Evaluation, other: Evaluation, cost: str) -> str:
    """`at 1.1 times the energy per inference` of another; what 0 is to 0 has no ratio."""
    name = LABELS[cost][0]
    if row.column(cost) == other.column(cost):
        return f"at the same {name}"
    if not other.column(cost) > 0:  # 0, or NaN
        return f"at more {name}"
    return f"at {ratio_text(row.column(cost) / other.column(cost))} times the {name}"


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _build(
    results: Study, choice: Choice, own: Priced | None, better: Priced | None, use: Use
) -> str:
    """The first sentence: which design, on which machine, why, and what it takes there."""
    row, cost = choice.row, results.cost_objective
    where, costs = results.named(row), costs_words(row, cost)
    if better is not None and own is not None:
        where = f"{named(row)} on {say_machine(better.cost)}"
        costs = priced_words(better.cost)
    text = (
        f"Build {where}: {choice.lead}, "
        f"{error_words(results, row)}{_limit_words(results, choice)}, {costs}."
    )
    text += _silent_words(results, row)
    built = better or own
    if built is None:
        return text
    text += power_words(built, use)
    text += "".join(f" It does not fit: {misfit}. Priced as if it did." for misfit in built.misfits)
    if better is not None and own is not None:
        text += (
            f" That machine is no worse in any cost than {say_machine(own.cost)}, with which the "
            f"study priced it: {priced_words(own.cost)} there. What follows compares designs as "
            "the study priced them."
        )
    return text


def _silent_words(results: Study, row: Evaluation) -> str:
    """That it has learnt nothing, where its texts are worth no more than no text at all."""
    if not results.asked.of_sentences or row.column(results.asked.measured) < SILENT:
        return ""
    return (
        " A network that writes nothing down has 100 %: no design has learnt to write yet, so train"
        " for longer (epochs of the recipe) before anything is concluded."
    )


def _limit_words(results: Study, choice: Choice) -> str:
    """That the interval reaches beyond the reader's limit, where it does."""
    if choice.limit is None:
        return ""
    # Of the error that the limit is on, which is that in whole numbers where the study asks it.
    band = results.find_judged_band(choice.row)
    if band is None or band.high <= choice.limit:
        return ""
    samples = results.asked.samples
    return f", so that these {samples} do not make sure that it keeps {choice.limit:g} %"


def power_words(each: Priced, use: Use) -> str:
    """Average power at the rate, what of it leaks, and what it leaves out, as sentences."""
    cost = each.cost
    power = power_at(cost, use.inferences_per_second)
    if power is None:
        return f" It is too slow for {use.words}."
    text = f" At {use.words} it draws {band_words(power)} µW on average"
    if without := left_out(cost):
        text += f", without {without}"
    text += f", {share_words(cost.leakage.mid / power.mid)} of it leakage"
    asleep = power_at(cost, use.inferences_per_second, "retention")
    if asleep is not None and asleep.mid < power.mid:
        text += f"; asleep in between, its weights in retention, {band_words(asleep)}"
    return f"{text}."


def priced_words(cost: Cost) -> str:
    """Energy, latency, area and trained parameters of a cost."""
    return (
        f"{band_words(cost.energy.scaled(1e-6))} µJ and {significant(cost.latency_us * 1e-3)} ms "
        f"per inference, {band_words(cost.area.scaled(1e-6))} mm², "
        f"{cost.workload.trained_parameters:,} trained parameters"
    )


def error_words(results: Study, row: Evaluation) -> str:
    """`39.1 % validation error (95 % interval 31.0 to 47.8 %: 50 of 128 clips wrong)`.

    The error that the study minimises has the interval; the other one stands beside it. Of
    sentences it is `(95 % interval 31.0 to 47.8 %: 512 edits of 1,310 characters, 60 utterances)`.
    """
    measured = results.asked.measured
    band = results.find_judged_band(row)
    assert band is not None  # the row is one of `judged`
    more = _other_error(row, measured)
    counted = _counted(results, row)
    if not counted:
        known = f"nothing says how many {results.asked.samples} are behind it"
        return f"{percent_text(band.mid)} % validation {_error(results)} ({known}){more}"
    return (
        f"{percent_text(band.mid)} % validation {_error(results)} (95 % interval "
        f"{percent_text(band.low)} to {percent_text(band.high)} %: {counted}){more}"
    )


def _counted(results: Study, row: Evaluation) -> str:
    """What the error is a share of; empty where nobody knows."""
    measured = results.asked.measured
    if not results.asked.of_sentences:
        if results.clips is None:
            return ""
        wrong = "clips wrong" if results.asked.wake is None else "wake words missed"
        return f"{round(row.column(measured) * results.clips)} of {results.clips} {wrong}"
    told = find_mistakes(results.find_folder(row), row, measured)
    if told is None:
        return ""
    edits, units = int(told.counts.sum()), int(told.units.sum())
    return f"{edits:,} edits of {units:,} {results.asked.units}, {len(told.units):,} utterances"


def _other_error(row: Evaluation, measured: str) -> str:
    """The error in floats where the study minimises that in whole numbers, and else that one."""
    if measured != "error":
        return f" and {percent_words(row.column('error'))} in floats"
    int8 = read_quantised_error(row)
    if int8 is None:
        return "; in whole numbers not measured"
    return f" and {percent_text(int8)} % in whole numbers"


def costs_words(row: Evaluation, cost: str) -> str:
    """Energy, latency and area of a row, and the objective where it is none of them."""
    words = []
    energy, area = read_energy(row), read_area(row)
    if energy is not None:
        words.append(
            f"{band_words(energy)} µJ and {row.column('latency_us') * 1e-3:.3g} ms per inference"
        )
    if area is not None:
        words.append(f"{band_words(area)} mm²")
    if cost not in ("energy_pj", "latency_us", "area_um2"):
        name, unit, _ = LABELS[cost]
        words.append(
            f"{significant(scaled(row.column(cost), cost), 4)} {unit} {name}".replace("  ", " ")
        )
    words.append(f"{row.column('trained_parameters'):,.0f} trained parameters")
    return ", ".join(words)


def band_words(band: Band) -> str:
    """`5.24 (3.50 to 19.1)`: three significant digits each, without a unit; `5.24` where exact."""
    if band.low == band.high:
        return significant(band.mid)
    return f"{significant(band.mid)} ({significant(band.low)} to {significant(band.high)})"


def _knee(results: Study, knee: Evaluation, best: Evaluation, as_good: Evaluation | None) -> str:
    cost, measured = results.cost_objective, results.asked.measured
    share = knee.column(cost) / best.column(cost)
    points = 100 * (knee.column(measured) - best.column(measured))
    return (
        f"Where cost counts more, {results.named(knee)} is the knee of {_front_words(results)}: "
        f"{share_words(share)} of the {LABELS[cost][0]} of that design for "
        f"{percent_text(points)} points more {_error(results)} "
        f"({percent_words(knee.column(measured))})"
        f"{_surely_words(results, knee, best, cheapest=knee == as_good)}."
    )


def _surely_words(results: Study, knee: Evaluation, best: Evaluation, *, cheapest: bool) -> str:
    """Whether the error that the knee has more is sure; empty where it is, or nobody knows."""
    difference = find_difference(results, knee, best)
    if difference is None or difference.sign == 1:
        return ""
    if cheapest:
        which = "the cheapest design that is not told apart from that one"
        return f". It is {which}: the difference of {difference.words}"
    if difference.sign == -1:  # fresh seeds say so: what the search saw was luck
        return f", though with fresh seeds the difference of {difference.words}"
    return f", though {difference.apart_words}"


def _ternary_or_dense(results: Study) -> str:
    ternary, dense = _best_of_each(results)
    if ternary is None and dense is None:
        return ""
    if dense is None:
        return "What ternary matrices gain is not known: no dense design was trained."
    if ternary is None:
        return "What ternary matrices gain is not known: no design with them was trained."
    front = {row.key: row for row in results.frontier}.values()  # one may be on several machines
    on_front = sum(results.is_ternary(row) for row in front)
    text = _differ(results, ternary, dense)
    if len(front) == 1:
        return f"{text} The frontier is one design, {'' if on_front else 'not '}a ternary one."
    return (
        f"{text} Of {len(front)} designs on the frontier, {on_front} "
        f"{'has' if on_front == 1 else 'have'} ternary matrices."
    )


def _best_of_each(results: Study) -> tuple[Evaluation | None, Evaluation | None]:
    """The ternary and the dense design of the lowest error."""
    ternary = [row for row in results.judged if results.is_ternary(row)]
    by = (results.cost_objective, results.asked.measured)
    return find_best(ternary, *by), find_best(list_dense(results), *by)


def _differ(results: Study, ternary: Evaluation, dense: Evaluation) -> str:
    """How far the best of each differ, and what follows from it for the matrices, if anything."""
    cost, measured = results.cost_objective, results.asked.measured
    difference = find_difference(results, ternary, dense)
    # Both won a selection, so both errors are too low; the interval knows of clips only.
    text = (
        "Ternary against dense: the best design with ternary matrices, "
        f"{results.named(ternary)}, has {percent_words(ternary.column(measured))} "
        f"{_error(results)}, the best dense one, {results.named(dense)}, "
        f"{percent_words(dense.column(measured))}"
    )
    alike = alike_in(ternary, dense, cost)
    if difference is not None:
        text += f"; the difference of {difference.words}"
        if alike:
            words = _verdict_words(difference)
            text += f", so {words} at like {alike} (within a factor of {LIKE:g})"
    text += "."
    if not alike:
        text += _unlike_words(ternary, dense, difference, cost)
    return f"{text} {_sizes_words(ternary, dense, cost)}"


def _unlike_words(
    ternary: Evaluation,
    dense: Evaluation,
    difference: Difference | FreshDifference | None,
    cost: str,
) -> str:
    """What two designs of unlike size say all the same: that a cheaper dense one suffices."""
    surely = difference is not None and say_verdict(difference) == DENSE
    if surely and dense.column(cost) <= ternary.column(cost):
        assert difference is not None
        return (
            f" The dense one costs less, too: within that budget, {difference.by_words}dense "
            "matrices make fewer errors."
        )
    return " They are of unlike size and cost, so this says nothing about the matrices."


def _sizes_words(ternary: Evaluation, dense: Evaluation, cost: str) -> str:
    """Trained parameters of both, and how many times the cost the ternary one takes."""
    text = (
        f"The ternary one has {ternary.column(SIZE):,.0f} trained parameters and the dense one "
        f"{dense.column(SIZE):,.0f}"
    )
    if cost == SIZE or not dense.column(cost) > 0:  # NaN, or nothing to divide by
        return f"{text}."
    if ternary.column(cost) == dense.column(cost):
        return f"{text}; both take the same {LABELS[cost][0]}."
    ratio = ternary.column(cost) / dense.column(cost)
    return f"{text}; it takes {ratio_text(ratio)} times the {LABELS[cost][0]} of that one."


def _at_its_cost(results: Study) -> str:
    """Which dense design is fair to the best ternary one, where the best dense one is not it."""
    ternary, dense = _best_of_each(results)
    if ternary is None or dense is None:
        return ""
    rivals = next(each for each in find_rivals(results) if each.ternary == ternary)
    name = LABELS[results.cost_objective][0]
    if rivals.dense is None:
        return (
            f"No dense design of like size, or that takes as little {name} as "
            f"{results.named(rivals.ternary)}, was trained."
        )
    if rivals.dense.key == dense.key:
        return ""  # said already
    text = (
        f"Of dense designs of like size, or at no more {name} than "
        f"{results.named(rivals.ternary)}, the best is {results.named(rivals.dense)}, "
        f"{percent_words(rivals.dense.column(results.asked.measured))}"
    )
    if rivals.difference is not None:
        text += f"; the difference of {rivals.difference.words}, so {_rivals_words(rivals)}"
    return f"{text}."


def _rivals_words(rivals: Rivals) -> str:
    """The verdict on a pair of rivals, and in what they are alike."""
    if rivals.verdict == UNLIKE:
        return "as it costs less, that says nothing about the matrices"
    assert rivals.difference is not None
    words = _verdict_words(rivals.difference)
    return f"{words} at like {rivals.alike}" if rivals.alike else f"{words}, at less cost"


def _cheaper_than_dense(results: Study) -> str:
    """Where only ternary designs were trained, what they gain is not known: said, not hidden."""
    cost = results.cost_objective
    dense = [row.column(cost) for row in list_dense(results)]
    if not dense:
        return ""
    below = {
        row.key: row
        for row in _plane(results)
        if results.is_ternary(row) and row.column(cost) < min(dense)
    }
    if not below:
        return ""
    name, unit, _ = LABELS[cost]
    amount = f"{significant(scaled(min(dense), cost))} {unit}".rstrip()
    count = "one design, with" if len(below) == 1 else f"{len(below)} designs, all with"
    return (
        f"Below {amount} of {name}, the least of the dense designs, {_front_words(results)} has "
        f"{count} ternary matrices; what dense ones would reach there was not tried."
    )


def _verdict_words(difference: Difference | FreshDifference) -> str:
    """Who makes fewer errors, and what that rests on; or that it is not sure."""
    kind = {-1: "ternary", 1: "dense"}.get(difference.sign)
    if kind is None:
        return difference.apart_words
    return f"{difference.by_words}{kind} matrices make fewer errors"
