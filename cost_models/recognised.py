"""What a YAML file is, told by its keys, where another kind was meant.

Ten kinds of YAML are about in this field, and one given in the place of another has nothing but
unknown keys: a sentence that says what it is, and which command takes it, is worth more than twenty
that list them.
"""

from collections.abc import Callable
from shlex import quote

from cost_models.strict_yaml import Node

Keys = dict[str, Node]


def _has(*names: str) -> Callable[[Keys], bool]:
    return lambda keys: all(name in keys for name in names)


def _is_nemo(keys: Keys) -> bool:
    model = keys["model"].value if "model" in keys else None
    return "JasperEncoder" in keys or (isinstance(model, dict) and "encoder" in model)


KINDS: dict[str, tuple[Callable[[Keys], bool], str]] = {
    "machine": (_has("arrays", "memories"), "a machine: --machine FILE prices a design on it"),
    "technology": (
        _has("multiplication_pj_per_bit2"),
        "a technology: --technology FILE prices with it",
    ),
    "design": (_has("blocks"), "a design: `dse estimate FILE` prices it"),
    "study": (_has("data", "space"), "a study: `dse search FILE` begins it"),
    "nemo": (_is_nemo, "a network of NeMo: `dse estimate FILE` prices it, `dse import nemo FILE`"),
    "stream": (
        _has("cores"),
        "an accelerator of Stream: `dse import zigzag FILE --core 0 --out machine.yaml` makes a "
        "machine of a core",
    ),
    "zigzag_hardware": (
        _has("operational_array"),
        "hardware of ZigZag: `dse import zigzag FILE --out machine.yaml` makes a machine of it",
    ),
    "accelergy": (
        lambda keys: any(name.startswith(("ERT", "ART")) for name in keys),
        "a file of tables of Accelergy: `dse import accelergy FILE --out technology.yaml` makes a "
        "technology of them",
    ),
}
"""Kind -> whether keys are its, and what it is, with the command that takes it."""
WORKLOAD = (
    "a workload of ZigZag: `dse import zigzag FILE --machine kws_int8` prices it, for instance"
)


def check_kind(root: Node, *meant: str) -> None:
    """Raise `InvalidFile` for a file that is plainly of another kind.

    Args:
        root: of the file.
        meant: kinds that the reader takes, `zigzag_workload` among them.
    """
    keys = root.value
    found = ""
    if isinstance(keys, list) and keys and isinstance(keys[0].value, dict):
        if "equation" in keys[0].value and "zigzag_workload" not in meant:
            found = WORKLOAD
    elif isinstance(keys, dict) and not any(
        KINDS[kind][0](keys) for kind in meant if kind in KINDS
    ):
        found = next((what for told, what in KINDS.values() if told(keys)), "")
    if found:
        raise root.error(f"this is {found.replace('FILE', quote(root.file))}")
