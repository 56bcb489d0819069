"""Reports in a notebook: of a study, or of designs."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dse.design.point import USUAL, DesignPoint
from dse.errors import InvalidInput
from dse.report.designs import designs_report
from dse.report.study import study_report
from dse.report.writing import write_report
from dse.studies.study import Study
from dse.workbench.costs import USUAL_MACHINE, read_design


def make_report(
    subject: Study | DesignPoint | str | os.PathLike[str] | Iterable[DesignPoint | str],
    out: str | os.PathLike[str],
    *,
    machines: Sequence[str] = (),
    formats: Sequence[str] = (),
) -> list[Path]:
    """Write the cost report of a study, or of designs.

    Args:
        subject: a study or its folder; or designs: points, published names, YAML files.
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
    given = [subject] if isinstance(subject, str | os.PathLike | DesignPoint) else list(subject)
    points = [each if isinstance(each, DesignPoint) else read_design(each) for each in given]
    heads = {point.head for point in points}
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
