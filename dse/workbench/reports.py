"""Reports in a notebook: of a study, or of designs."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cost_models.workload import Workload
from dse.design.point import USUAL, DesignPoint
from dse.errors import InvalidInput
from dse.pricing.priced import Layers
from dse.report.designs import designs_report
from dse.report.study import study_report
from dse.report.writing import write_report
from dse.studies.study import Study
from dse.workbench.costs import USUAL_MACHINE, design_or_layers

Network = DesignPoint | Workload


def make_report(
    subject: Study | Network | str | os.PathLike[str] | Iterable[Network | str],
    out: str | os.PathLike[str],
    *,
    machines: Sequence[str] = (),
    formats: Sequence[str] = (),
) -> list[Path]:
    """Write the cost report of a study, of designs, or of networks of layers.

    Args:
        subject: a study or its folder; or designs: points, published names, YAML files; or layers:
            what `trace` gives, or modules of Python files (`my_net.py:build`), which are run.
        out: a folder; or a file that ends in .html, .pdf, .json or .xlsx.
        machines: to price on: of a study, beside its own; of designs, `kws_ternary` where there
            are none.
        formats: html, pdf, md, csv, json, xlsx; html, or as `out` ends, where there are none.

    Returns:
        The files.

    Raises:
        InvalidInput: there is no such study, design, machine or format.
        OSError: a file cannot be written.
    """
    out = Path(out)
    wanted = tuple(formats) or ((out.suffix[1:],) if out.suffix else ("html",))
    if isinstance(subject, Study):
        return write_report(study_report(subject.folder, machines=machines), out, wanted)
    if isinstance(subject, str | os.PathLike) and Path(subject).is_dir():
        return write_report(study_report(Path(subject), machines=machines), out, wanted)
    given = [subject] if isinstance(subject, str | os.PathLike | Network) else list(subject)
    read = [each if isinstance(each, Network) else design_or_layers(each) for each in given]
    points = [each if isinstance(each, DesignPoint) else Layers(each.name, each) for each in read]
    heads = {point.head for point in points if isinstance(point, DesignPoint)}
    if len(heads) > 1:
        raise InvalidInput(
            "designs that answer once a clip and ones with an answer a frame do not stand in one "
            "report: make a report of each"
        )
    sizes = USUAL[heads.pop()] if heads else USUAL["pooled"]
    report = designs_report(
        points,
        machines=machines or (USUAL_MACHINE,),
        frames=sizes.frames,
        outputs=sizes.outputs,
    )
    return write_report(report, out, wanted)
