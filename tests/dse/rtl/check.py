"""Hardware against reference: exported circuits as Yosys' gates, run beside the Python model."""

import numpy as np
import numpy.typing as npt

from dse.rtl.designs import GeneratorBlock
from dse.rtl.export import EngineExport
from dse.rtl.yosys import Circuit
from dse.ternary.generators.shift_register import Bits
from dse.ternary.quantised import ACTIVATION_BITS
from tests.dse.rtl.netlist import Simulation


def simulate_trits(
    block: GeneratorBlock,
    states: list[Bits],
    rows: int,
    columns: int,
    circuit: Circuit | None = None,
) -> npt.NDArray[np.int8]:
    """The matrices that a generator's circuit makes from several start states at once.

    Args:
        block: generator, density and lanes.
        states: one a matrix.
        rows: of each matrix.
        columns: of each matrix.
        circuit: what to simulate instead of the block's own modules.

    Returns:
        (states, rows, columns).

    Raises:
        InvalidInput: Yosys is not installed or refuses the circuit.
    """
    simulation = Simulation(circuit or block.circuit(), len(states))
    words = [block.start_words(state, columns) for state in states]
    for name, (width, value) in words[0].items():
        simulation.set(name, value if name != "seed" else _seeds(words, width))
    _load(simulation)
    entries = rows * columns
    parts = []
    for _ in range(-(-entries // block.lanes)):
        nonzero, negative = simulation.get("nonzero"), simulation.get("negative")
        parts.append(nonzero.astype(np.int8) * (1 - 2 * negative.astype(np.int8)))
        simulation.clock()
    return np.concatenate(parts, axis=1)[:, :entries].reshape(len(states), rows, columns)


def simulate_sums(export: EngineExport, circuit: Circuit | None = None) -> npt.NDArray[np.int32]:
    """The sums that an engine's circuit makes of the export's activations.

    Args:
        export: layer, activations and frames.
        circuit: what to simulate instead of the export's own modules.

    Returns:
        (outputs, frames).

    Raises:
        InvalidInput: Yosys is not installed or refuses the circuit.
    """
    inputs, total = export.activations.shape
    lanes, frames = export.generator.block.lanes, export.frames
    groups = total // frames  # one copy of the circuit each
    simulation = Simulation(circuit or export.circuit(), groups)
    for name, (_, value) in export.generator.words.items():
        simulation.set(name, value)
    _load(simulation)
    # (chunk, group, frame, lane), then the bits of each byte, least significant first.
    fed = export.activations.reshape(inputs // lanes, lanes, groups, frames).transpose(0, 2, 3, 1)
    bits = np.unpackbits(
        np.ascontiguousarray(fed).view(np.uint8)[..., None], axis=-1, bitorder="little"
    ).reshape(export.chunks, groups, frames * lanes * ACTIVATION_BITS)
    sums = np.zeros((export.generator.rows, groups, frames), dtype=np.int32)
    for output in range(export.generator.rows):
        for chunk in range(export.chunks):
            simulation.set("activations", bits[chunk])
            simulation.clock()
        assert simulation.get("valid").all(), "no valid sums where an output ends"
        found = simulation.get("sums").reshape(groups, frames, export.sum_bits)
        weights = 1 << np.arange(export.sum_bits, dtype=np.int64)
        weights[-1] *= -1  # two's complement
        sums[output] = found @ weights
    return sums.reshape(export.generator.rows, total)


def _seeds(words: list[dict[str, tuple[int, int]]], width: int) -> npt.NDArray[np.uint8]:
    values = [each["seed"][1] for each in words]
    return np.array([[value >> place & 1 for place in range(width)] for value in values], np.uint8)


def _load(simulation: Simulation) -> None:
    simulation.set("load", 1)
    simulation.set("enable", 0)
    simulation.clock()
    simulation.set("load", 0)
    simulation.set("enable", 1)
