"""A workload and a machine as the files of another tool, by the tool's name.

What is exported is a problem, not our answer to it: the other tool searches its own mapping and
counts its own accesses, so that its result is an independent check. ZigZag is given more, the loops
that ours unrolls over the array, because its own search tries few of these.
"""

from collections.abc import Callable
from types import MappingProxyType

from cost_models.accelerator import Accelerator
from cost_models.estimation import estimate
from cost_models.technology import Technology
from cost_models.workload import Workload
from dse.errors import InvalidInput
from dse.interchange import accelforge, scalesim, zigzag

Files = dict[str, str]
"""File name -> text."""
Export = Callable[[Workload, Accelerator, Technology], Files]


def _zigzag(workload: Workload, machine: Accelerator, technology: Technology) -> Files:
    return {
        "hardware.yaml": zigzag.hardware_yaml(machine, technology),
        "workload.yaml": zigzag.workload_yaml(workload, machine),
        "mapping.yaml": zigzag.mapping_yaml(workload, machine, technology),
    }


def _scalesim(workload: Workload, machine: Accelerator, technology: Technology) -> Files:
    return {
        "scalesim.cfg": scalesim.configuration(machine),
        "topology.csv": scalesim.topology_csv(workload),
        "layout.csv": scalesim.layout_csv(workload),
    }


def _accelforge(workload: Workload, machine: Accelerator, technology: Technology) -> Files:
    return {
        "arch.yaml": accelforge.architecture_yaml(machine, technology),
        "workload.yaml": accelforge.workload_yaml(workload, machine),
    }


TOOLS: MappingProxyType[str, Export] = MappingProxyType(
    {"zigzag": _zigzag, "scalesim": _scalesim, "accelforge": _accelforge}
)

TWO_DIMENSIONS = frozenset({"zigzag", "scalesim"})
"""Tools whose files can say that frames have bins."""


def tool_files(
    tool: str, workload: Workload, machine: Accelerator, technology: Technology
) -> Files:
    """The files that a tool reads.

    Args:
        tool: a name in `TOOLS`.
        workload: the layers.
        machine: what executes them; a memory that is to fit gets the size that they need.
        technology: prices the machine.

    Raises:
        InvalidInput: the tool cannot express a layer or the machine.
    """
    plane = next((each for each in workload.layers if each.two_dimensional), None)
    if plane is not None and tool not in TWO_DIMENSIONS:
        raise InvalidInput(
            f"{plane.name} has frames of {plane.in_bins} bins, and what is written for {tool} are "
            "layers of one dimension: export a network whose frequencies are channels"
        )
    if machine.to_fit:
        machine = estimate(workload, machine, technology).accelerator
    return TOOLS[tool](workload, machine, technology)
