"""Stream (KULeuven-MICAS): one core of an accelerator of several, as a machine of ours.

A file of Stream lists cores, each hardware of ZigZag in a file of its own, says which of them is
the memory outside of the chip, and how they are connected:

    cores: {0: ./cores/array.yaml, 1: pooling.yaml, 2: offchip.yaml}      or a list
    offchip_core_id: 2                                                    or `graph.offchip_core_id`
    core_connectivity: [{type: bus, cores: [0, 1, 2], bandwidth: 64}]     or `graph.bandwidth`

Ours are machines of one core. So one is chosen by its number, gets the memories outside, and a link
that is narrower than their port bounds it. What the others do is left out, and told: a network that
is divided among the cores is faster than on one.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cost_models.strict_yaml import Node, read_yaml
from dse.errors import InvalidInput, short
from dse.files import inside
from dse.interchange.imported import ImportedMachine
from dse.interchange.zigzag_machine import machine_of

MOST_LISTED = 10
"""Cores that a message names."""
OF_STREAM = ("type", "operator_types", "operand_precision", "utilization")
"""Keys of a core that ZigZag's hardware does not have."""
NOT_PRICED = ("core_memory_sharing", "memory_aliases", "reconfiguration", "kernel_library")


def import_core(
    path: Path | str,
    core: str,
    *,
    technology: str = "low_leakage_45nm",
    clock_mhz: float = 200.0,
) -> ImportedMachine:
    """Read one core of an accelerator of Stream, with the memory outside of the chip.

    Args:
        path: the file that lists the cores; those of its own files lie in its folder.
        core: its number there.
        technology: as of `import_hardware`.
        clock_mhz: likewise.

    Raises:
        InvalidFile: a file cannot be read, or describes what a machine of ours cannot be.
        InvalidInput: there is no such core; or its file lies elsewhere.
    """
    path, notes = Path(path), list[str]()
    root = read_yaml(path, doubled=notes)
    listed = _cores(root)
    if core not in listed:
        raise InvalidInput(f"--core {short(core)}: {path} has the cores {_named(listed)}")
    chosen = _hardware(path, listed[core], notes)
    outside = _outside_number(root)
    if outside is not None and outside != core and outside in listed:
        chosen = _with_memories(chosen, _hardware(path, listed[outside], []))
    others = [number for number in listed if number not in (core, outside)]
    if others:
        notes.append(
            f"other cores are left out, with what they would take over: "
            f"{', '.join(others[:MOST_LISTED])}{' and more' if len(others) > MOST_LISTED else ''}"
        )
    found = machine_of(chosen, f"{path.stem}_core_{core}", notes, technology, clock_mhz)
    left = [key for key in NOT_PRICED if key in root.value]
    told = [*found.notes, *([f"{', '.join(left)} is left out: one core is alone"] if left else [])]
    return _linked(root, core, outside, ImportedMachine(found.machine, tuple(told)))


def _cores(root: Node) -> dict[str, Node]:
    """By number; older files have a list, whose places are the numbers."""
    cores = root.value.get("cores") if isinstance(root.value, dict) else None
    if cores is None or not isinstance(cores.value, dict | list) or not cores.value:
        raise root.error("an accelerator of Stream has 'cores': --core is for such a file")
    listed: Mapping[Any, Node] = (
        cores.value if isinstance(cores.value, dict) else dict(enumerate(cores.value))
    )
    return {str(number): node for number, node in listed.items()}


def _named(listed: Mapping[str, Node]) -> str:
    """`0 (array.yaml), 1 (pooling.yaml)`, the first of them."""
    words = [
        f"{number} ({Path(node.value).name[:60]})" if isinstance(node.value, str) else number
        for number, node in list(listed.items())[:MOST_LISTED]
    ]
    return ", ".join(words) + (" and more" if len(listed) > MOST_LISTED else "")


def _hardware(path: Path, core: Node, notes: list[str]) -> Node:
    """A core's description, in the file or in one of its own below the same folder."""
    found = core
    if isinstance(core.value, str):
        parts = [part for part in core.value.split("/") if part not in ("", ".")]
        place = inside(path.parent, *parts)
        if len(parts) == 1 and not place.exists():  # Stream looks there, too
            place = inside(path.parent, "cores", *parts)
        found = read_yaml(place, doubled=notes)
    if not isinstance(found.value, dict) or "memories" not in found.value:
        raise found.error(
            "this core is not described as ZigZag's hardware, with 'memories' and "
            "'operational_array': choose another one"
        )
    left = [key for key in OF_STREAM if key in found.value]
    if left:
        notes.append(f"{', '.join(left)} of the core is left out")
    kept = {key: child for key, child in found.value.items() if key not in OF_STREAM}
    return dataclasses.replace(found, value=kept)


def _outside_number(root: Node) -> str | None:
    """The core that is the memory outside of the chip."""
    graph = root.value.get("graph")
    for keys in (root.value, graph.value if graph is not None else None):
        if isinstance(keys, dict) and "offchip_core_id" in keys:
            return str(keys["offchip_core_id"].value)
    return None


def _with_memories(core: Node, outside: Node) -> Node:
    """A core with the memories of another behind its own, which serve its whole array."""
    array = core.value.get("operational_array")
    dimensions = array.value.get("dimensions") if array and isinstance(array.value, dict) else None
    memories = outside.value["memories"]
    if dimensions is None or not isinstance(memories.value, dict):
        return core  # what reads the core will say what it lacks
    added = {
        name: dataclasses.replace(memory, value={**memory.value, "served_dimensions": dimensions})
        for name, memory in memories.value.items()
        if isinstance(memory.value, dict)
    }
    own = core.value["memories"]
    if not isinstance(own.value, dict) or own.value.keys() & added.keys():
        raise own.error("a memory of this core is called as one outside of the chip: rename one")
    together = dataclasses.replace(own, value={**own.value, **added})
    return dataclasses.replace(core, value={**core.value, "memories": together})


def _linked(root: Node, core: str, outside: str | None, found: ImportedMachine) -> ImportedMachine:
    """With the port of the memory outside as narrow as the link to it; its energy is told."""
    widths = _link_widths(root, core, outside)
    costs = [node for node in _named_below(root, "unit_energy_cost") if node.value not in (0, None)]
    notes = list(found.notes)
    if costs:
        notes.append(
            f"unit_energy_cost of {short(costs[0].value)} is left out: the way to the memory "
            "outside costs what that memory costs"
        )
    *inner, last = found.machine.memories
    width = min(widths, default=last.bandwidth_bits_per_cycle)
    if outside is None or width >= last.bandwidth_bits_per_cycle:
        return ImportedMachine(found.machine, tuple(notes))
    notes.append(
        f"the link to {last.name} has {width:,} bits a cycle, and its port "
        f"{last.bandwidth_bits_per_cycle:,}: the link counts"
    )
    # Its word stays: an access pays for all of it, in however many cycles it comes.
    narrow = dataclasses.replace(last, bandwidth_bits_per_cycle=width)
    machine = dataclasses.replace(found.machine, memories=(*inner, narrow))
    return ImportedMachine(machine, tuple(notes))


def _link_widths(root: Node, core: str, outside: str | None) -> list[int]:
    """Bits a cycle of the links and buses that join the core and the memory outside.

    Raises:
        InvalidFile: one is no number from 1 on.
    """
    graph, links = root.value.get("graph"), root.value.get("core_connectivity")
    joined = [graph] if graph is not None else []
    for link in links.value if links is not None and isinstance(links.value, list) else ():
        ends = link.value.get("cores") if isinstance(link.value, dict) else None
        numbers = [str(each) for each in ends.plain()] if ends and type(ends.value) is list else []
        if {core, outside} <= set(numbers):
            joined.append(link)
    widths = []
    for link in joined:
        width = link.value.get("bandwidth") if isinstance(link.value, dict) else None
        if width is None:
            continue
        if not isinstance(width.value, int | float) or not 1 <= width.value < 2**31:
            raise width.error(
                f"{width.key} must be bits a cycle from 1 on, not {short(width.value)}"
            )
        widths.append(int(width.value))
    return widths


def _named_below(root: Node, name: str) -> list[Node]:
    """Values of a key, of the file and of its graph and links."""
    places = [root, root.value.get("graph")]
    links = root.value.get("core_connectivity")
    places += links.value if links is not None and isinstance(links.value, list) else []
    return [
        place.value[name]
        for place in places
        if place is not None and isinstance(place.value, dict) and name in place.value
    ]
