"""The design space: design points, their two views, data, training and records.

What other programs may rely on is in `__all__`. Names are loaded when they are first asked for:
`import dse` takes no time, and loads neither torch nor anything else that is large.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dse.design.point import DesignPoint as DesignPoint
    from dse.design.space import SearchSpace as SearchSpace
    from dse.errors import InvalidInput as InvalidInput
    from dse.networks.ternarising import ternarise as ternarise
    from dse.networks.tracing import trace as trace
    from dse.studies.rows import load_results as load_results
    from dse.studies.study import Study as Study
    from dse.studies.study import open_study as open_study
    from dse.training.checkpoint import load_network as load_network
    from dse.workbench.costs import frontier as frontier
    from dse.workbench.costs import price as price
    from dse.workbench.costs import read_design as read_design
    from dse.workbench.costs import read_machine as read_machine
    from dse.workbench.costs import read_space as read_space
    from dse.workbench.costs import sweep as sweep
    from dse.workbench.reports import make_report as make_report
    from dse.workbench.training import train as train

_HOME = {
    "DesignPoint": "dse.design.point",
    "InvalidInput": "dse.errors",
    "SearchSpace": "dse.design.space",
    "Study": "dse.studies.study",
    "frontier": "dse.workbench.costs",
    "load_network": "dse.training.checkpoint",
    "load_results": "dse.studies.rows",
    "make_report": "dse.workbench.reports",
    "open_study": "dse.studies.study",
    "price": "dse.workbench.costs",
    "read_design": "dse.workbench.costs",
    "read_machine": "dse.workbench.costs",
    "read_space": "dse.workbench.costs",
    # The one name of a package above: a notebook that searches need not know where that is done.
    "run_study": "search.workbench",
    "sweep": "dse.workbench.costs",
    "ternarise": "dse.networks.ternarising",
    "trace": "dse.networks.tracing",
    "train": "dse.workbench.training",
}
"""Public name -> the module that has it."""

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in _HOME:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
