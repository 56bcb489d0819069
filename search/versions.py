"""What decides a training besides its design, so that all machines train the same."""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("cost_models", "dse")


@cache
def code_version() -> str:
    """Version of this program and of torch, with eight hex digits of the program's own text.

    Two machines with the same text train the same; the version alone does not tell a changed one.
    """
    digest = hashlib.sha256()
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None and spec.submodule_search_locations is not None
        root = Path(spec.submodule_search_locations[0])
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.yaml")]):
            digest.update(f"{package}/{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    torch = version("torch").partition("+")[0]
    return f"{version('ternary-dse')}+{digest.hexdigest()[:8]}, torch {torch}"
