"""Cost reports: the decision as a document that leaves the tool.

    report = study_report(Path("studies/demo"))                    # or of designs:
    report = designs_report([published("matchboxnet-3x1x64-P3")], machines=["kws_ternary"])
    write_report(report, Path("out"), ("html", "pdf"))             # files, each in one step
    page = render(report, "html")                                  # bytes, for a download

A report is made once; every format prints the same numbers, and the same results give the same
bytes. Loads neither torch nor a library of a format that is not asked for.
"""

import importlib
from typing import Any

HOMES = {
    "FORMATS": "dse.report.writing",
    "Report": "dse.report.content",
    "Section": "dse.report.content",
    "Table": "dse.report.content",
    "Use": "cost_models.application",
    "designs_report": "dse.report.designs",
    "render": "dse.report.writing",
    "study_report": "dse.report.study",
    "write_report": "dse.report.writing",
}
__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is: `dse estimate` prints tables and needs no study."""
    if name not in HOMES:
        raise AttributeError(f"dse.report has no {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)
