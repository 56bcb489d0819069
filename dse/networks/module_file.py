"""A network in a Python file of the user's: `my_net.py:build`.

The file is a program, and runs as one: it is trusted like any that is started by its name. What is
asked of it is one name, a function without arguments or what such a function returns:

    def build():
        return MyNetwork(), torch.zeros(1, 40, 98)     # a module, and an example of its input

Whatever goes wrong in the file becomes one sentence with its line.
"""

import difflib
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from cost_models.content import read_content
from dse.errors import InvalidFile, InvalidInput, short

MAX_BYTES = 4_000_000
BUILD = "build"
"""The function that is taken where none is named."""


def is_module_file(source: str) -> bool:
    """Whether a text names a Python file, with a function of it or without."""
    return source.endswith(".py") or ".py:" in source


def read_module_file(source: str) -> tuple[Any, Any]:
    """A module and an example of its input, from a user's file.

    Args:
        source: `PATH.py` or `PATH.py:FUNCTION`.

    Raises:
        InvalidFile: the file cannot be read or run, or returns something else.
    """
    path, _, name = source.rpartition(":") if not source.endswith(".py") else (source, "", BUILD)
    place, name = Path(path), name or BUILD
    space = _run(place)
    if name not in space:
        own = [
            each for each, value in space.items() if callable(value) and not each.startswith("_")
        ]
        near = difflib.get_close_matches(name, own, n=1) or own[-1:]
        hint = f": it has {near[0]}" if near else ": it defines none"
        raise InvalidFile(f"{path} has no function {short(name)}{hint}")
    found = space[name]
    if inspect.isroutine(found) or inspect.isclass(found):
        found = _call(place, name, found)
    if not isinstance(found, tuple) or len(found) != 2:
        raise InvalidFile(
            f"{name} of {path} must return a module and an example of its input, such as (MyNet(), "
            f"torch.zeros(1, 40, 98)), not {_said(found)}"
        )
    return found


def _said(found: Any) -> str:
    if isinstance(found, tuple):
        return f"{len(found)} values"
    return "nothing" if found is None else f"one {type(found).__name__}"


def _run(path: Path) -> dict[str, Any]:
    """The names that a file defines.

    Its folder comes first on the search path meanwhile, as when Python starts it by its name; no
    byte code is written beside it.
    """
    text = read_content(path, MAX_BYTES, "a Python file")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        code = compile(text, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InvalidFile(f"{path}{line} is no Python: {said}") from None
    folder, before = str(path.resolve().parent), sys.dont_write_bytecode
    known = sys.modules.get(path.stem)
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    # Dataclasses look for the module that they were defined in.
    sys.modules.setdefault(path.stem, module)
    try:
        exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        raise _failed(path, error, "cannot be run") from None
    finally:
        sys.path.remove(folder)
        sys.dont_write_bytecode = before
        if known is None:
            sys.modules.pop(path.stem, None)
    return module.__dict__


def _call(path: Path, name: str, function: Any) -> Any:
    given = inspect.signature(function).parameters.values()
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [each.name for each in given if each.default is each.empty and each.kind in named]
    if needed:
        raise InvalidFile(
            f"{name} of {path} takes {', '.join(needed[:5])}: give a function without arguments "
            "that returns a module and an example of its input"
        )
    try:
        return function()
    except InvalidInput:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(path, error, f"fails in {name}") from None


def _failed(path: Path, error: BaseException, what: str) -> InvalidFile:
    """`net.py:12 cannot be run: ModuleNotFoundError: No module named 'x'`, the file's own line."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    line = f":{lines[-1]}" if lines else ""
    said = next((each.strip() for each in str(error).splitlines() if each.strip()), "")
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return InvalidFile(f"{path}{line} {what}: {text[:300]}")
