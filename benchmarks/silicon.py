"""Published chips beside the model: printed figures, ours with their bands, and the factor between.

    python benchmarks/silicon.py          the table of docs/silicon.md
    python benchmarks/silicon.py --parts  and where our figures come from
    python benchmarks/silicon.py --write  both, into that page: after a change of the model

Machines and the network are files in examples/silicon, described from what the papers print; what
they do not print is named in the files. No constant of a technology is fitted to a chip.
"""

import argparse
import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cost_models import Band, Component, Cost, estimate, load_accelerator, load_technology
from cost_models.application import average_power_uw
from cost_models.strict_yaml import read_yaml
from cost_models.workload import CONVOLUTIONS, Layer, LayerKind, WeightSource, Workload
from dse.columns import significant
from dse.design.point import point_from_node
from dse.networks.lowering import lower

ROOT = Path(__file__).resolve().parents[1]
SILICON = ROOT / "examples" / "silicon"
PAGE = ROOT / "docs" / "silicon.md"
FACTOR = 3.3
"""What we claim: each figure is within this factor of the printed one, either way."""

FRAMES, CLASSES, RATE = 98, 12, 10.0
"""TC-ResNet8 on Speech Commands: 98 frames of 10 ms, twelve classes; an inference each 100 ms."""

CHANNELS, SPOTS = 128, 256
"""A layer that fills BrainTTA's vectors: 128 to 128 channels at 256 places."""


@dataclass(frozen=True, slots=True)
class Row:
    """A figure that a paper prints, and ours."""

    chip: str
    figure: str
    unit: str
    printed: float
    ours: Band

    @property
    def factor(self) -> float:
        """Ours over printed."""
        return self.ours.mid / self.printed

    @property
    def line(self) -> str:
        """Of the table in docs/silicon.md: two digits, as the model has no more."""
        low, mid, high = (significant(each, 2) for each in dataclasses.astuple(self.ours))
        unit = f" {self.unit}".rstrip()
        factor = significant(self.factor, 2)
        ours = f"{mid}{unit} ({low} to {high})"
        return f"| {self.chip} | {self.figure} | {self.printed:.3g}{unit} | {ours} | {factor} |"


def ultratrail() -> Cost:
    """One inference of TC-ResNet8 on UltraTrail."""
    machine = load_accelerator(SILICON / "ultratrail.yaml")
    network = point_from_node(read_yaml(SILICON / "tc_resnet8.yaml"))
    lowered = lower(network, frames=FRAMES, outputs=CLASSES)
    # Its numbers are in fixed point: a bias a channel, and no factors.
    layers = tuple(
        dataclasses.replace(each, rescaled=False, bias=each.kind in CONVOLUTIONS)
        for each in lowered.layers
    )
    workload = Workload(lowered.name, layers)
    return estimate(workload, machine, load_technology(machine.technology))


def brain_tta(bits: int, memory_bits: int | None = None) -> Cost:
    """A layer on BrainTTA: weights and activations of 8 bits, or ternary ones in 2.

    Half of the trits are zero.

    Args:
        bits: 8 or 2.
        memory_bits: of each memory, which the paper's abstract does not say; the file's where None.
    """
    machine = load_accelerator(SILICON / "brain_tta.yaml")
    if memory_bits is not None:
        memories = tuple(
            dataclasses.replace(memory, capacity_bits=memory_bits) for memory in machine.memories
        )
        machine = dataclasses.replace(machine, memories=memories)
    ternary = bits == 2
    layer = Layer(
        name=f"layer of {bits} bits",
        kind=LayerKind.POINTWISE,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        in_frames=SPOTS,
        out_frames=SPOTS,
        weights=WeightSource.GENERATED if ternary else WeightSource.TRAINED,
        nonzeros=CHANNELS * CHANNELS // 2 if ternary else 0,
        weight_bits=bits,
        input_bits=bits,
        output_bits=bits,
        accumulator_bits=16 if ternary else 24,
    )
    workload = Workload(layer.name, (layer,))
    return estimate(workload, machine, load_technology(machine.technology))


def operation_fj(cost: Cost) -> Band:
    """Energy of an operation in fJ: a multiplication and an addition are two, trits likewise."""
    return cost.energy.scaled(1e3 / (2 * _entries(cost)))


def compare(one: Cost, other: Cost) -> Band:
    """Energy of an operation over that of another, both of one technology.

    An error of the technology's SRAM, or of its logic, is the same in both, so ends are not divided
    by opposite ends; but the two errors may go opposite ways:

        low, high    the least and most of (logic + SRAM) / (logic + SRAM), each at low or high
    """
    ends = []
    for logic in ("low", "high"):
        for memory in ("low", "high"):
            energies = [
                getattr(_sram(cost), memory)
                + getattr(cost.energy, logic)
                - getattr(_sram(cost), logic)
                for cost in (one, other)
            ]
            ends.append(energies[0] / energies[1])
    scale = _entries(other) / _entries(one)
    mid = one.energy_pj / other.energy_pj
    return Band(low=min(ends) * scale, mid=mid * scale, high=max(ends) * scale)


def _sram(cost: Cost) -> Band:
    parts = [layer.sum_component(Component.SRAM) for layer in cost.layers]
    return sum(parts[1:], start=parts[0])


def _entries(cost: Cost) -> int:
    return sum(layer.layer.weight_entries * layer.layer.out_frames for layer in cost.layers)


def rows() -> tuple[Row, ...]:
    """The table of docs/silicon.md."""
    spotter, eight, two = ultratrail(), brain_tta(8), brain_tta(2)
    dynamic, leakage = spotter.dynamic_energy, spotter.leakage
    power = average_power_uw(dynamic, spotter.latency_us, leakage, RATE)
    return (
        Row("UltraTrail", "average power, TC-ResNet8, 10 inferences a second", "µW", 8.2, power),
        Row("BrainTTA", "int8 operation", "fJ", 405.0, operation_fj(eight)),
        Row("BrainTTA", "ternary operation", "fJ", 67.0, operation_fj(two)),
        Row("BrainTTA", "int8 over ternary", "", 405.0 / 67.0, compare(eight, two)),
    )


def parts() -> Iterator[str]:
    """Where our figures come from: lines of the second table of docs/silicon.md."""
    cost = ultratrail()
    dynamic = cost.dynamic_energy.mid * RATE * 1e-6
    power = dynamic + cost.leakage.mid
    shares = {"computing and moving": dynamic} | {
        f"leakage of {name}": band.mid for name, band in cost.leakages_uw.items()
    }
    for name, microwatts in shares.items():
        share = significant(100 * microwatts / power, 2)
        yield f"| UltraTrail | {name} | {significant(microwatts, 2)} µW | {share} % |"
    least = significant(dynamic + cost.leakage.low, 2)
    yield f"| UltraTrail | all, with leakage at the low end of its band | {least} µW | - |"
    for bits, what in ((8, "int8"), (2, "ternary")):
        cost = brain_tta(bits)
        each = operation_fj(cost).mid / cost.energy_pj
        for part, pj in cost.energies_pj.items():
            if pj > 0.01 * cost.energy_pj:
                words = str(part).replace("_", " ")
                share = significant(100 * pj / cost.energy_pj, 2)
                yield f"| BrainTTA, {what} | {words} | {significant(pj * each, 2)} fJ | {share} % |"
    for kibibytes in (32, 512):
        eight, two = (brain_tta(bits, kibibytes * 8192) for bits in (8, 2))
        figures = [significant(operation_fj(cost).mid, 2) for cost in (eight, two)]
        ratio = significant(compare(eight, two).mid, 2)
        yield (
            f"| BrainTTA, memories of {kibibytes} KiB each | int8 and ternary operation | "
            f"{figures[0]} and {figures[1]} fJ | ratio {ratio} |"
        )


def with_tables(page: str) -> str:
    """The page with both tables as they are computed now; the words around them stay."""
    made = ["\n".join(row.line for row in rows()) + "\n", "\n".join(parts()) + "\n"]
    return re.sub(r"(\| (UltraTrail|BrainTTA)\b.*\n)+", lambda _: made.pop(0), page)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--parts", action="store_true", help="print where our figures come from, too"
    )
    parser.add_argument(
        "--write", action="store_true", help="write both tables into docs/silicon.md"
    )
    asked = parser.parse_args()
    if asked.write:
        PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print("\n".join(row.line for row in rows()))
    if asked.parts:
        print("\n".join(["", *parts()]))


if __name__ == "__main__":
    main()
