"""Cost reports: the decision as a document that leaves the tool.

    report = study_report(Path("studies/demo"))                    # or of designs:
    report = designs_report([published("matchboxnet-3x1x64-P3")], machines=["kws_ternary"])
    write_report(report, Path("out"), ("html", "pdf"))             # files, each in one step
    page = render(report, "html")                                  # bytes, for a download

A report is made once; every format prints the same numbers, and the same results give the same
bytes. Loads neither torch nor a library of a format that is not asked for.
"""

from cost_models.application import Use
from dse.report.content import Report, Section, Table
from dse.report.designs import designs_report
from dse.report.study import study_report
from dse.report.writing import FORMATS, render, write_report

__all__ = [
    "FORMATS",
    "Report",
    "Section",
    "Table",
    "Use",
    "designs_report",
    "render",
    "study_report",
    "write_report",
]
