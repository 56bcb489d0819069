"""The design space: design points, their two views, data, training and records.

What programs of others may rely on is in `__all__`. Names are loaded when they are first asked for:
`import dse` takes no time, and loads neither torch nor anything else that is large.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dse.networks.tracing import trace as trace

_HOME = {
    "trace": "dse.networks.tracing",
}
"""Public name -> the module that has it."""

__all__ = ["trace"]


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name not in _HOME:
        raise AttributeError(f"module 'dse' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
