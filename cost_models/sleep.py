"""What a machine does between inferences: what leaks on, what it takes to wake, what was forgotten.

    mode        logic        memories                                            waking
    on          leaks        leak                                                nothing
    retention   switched     SRAMs that keep weights (or the state of a stream)  charge what was
                off          hold them at a low voltage; all others are off      off; reload
    gated       off          off, by switches on the chip                        likewise
    cut         no supply    no supply, by a switch outside; nothing leaks       reload

    leakage asleep   = sum over parts of  leakage * (1 | RETAINED | GATED | 0)
    energy to wake   = area that was off * WAKE * energy of an addition / area of an adder
                       + reloaded bits * (read from where they are + write of each memory inwards)
    time to wake     = WAKE_US + reloaded bits / narrowest port

An `asleep` of a memory in the machine's file overrides the mode, other than a cut. Memories without
supply (`cost_models.nonvolatile`) forget nothing and are off. A DRAM is another chip and stays as
it is; its standby counts where its file has a figure. Weights that stay in an SRAM between
inferences and are switched off come again from the memory behind it; where there is none, they are
lost, and `Asleep.lost` says so. Activations are worth nothing between inferences, but for the state
of a stream.

Left out: the controller that wakes the chip, regulators, and switches themselves (some percent of
the area).
"""

from cost_models.accelerator import Accelerator, MemoryLevel
from cost_models.application import Asleep, Sleep, State
from cost_models.band import ZERO, Band
from cost_models.cost import Cost
from cost_models.energy import memory_prices
from cost_models.fitting import keepers
from cost_models.machine_area import sum_bands
from cost_models.residency import weights_stay
from cost_models.technology import Constant

RETAINED = Constant(
    value=0.147,
    low=0.1,
    high=0.2,
    source="Share of an SRAM's leakage that is left while it holds its data at a low voltage. "
    "Replica cell biasing and diode clamp, 1k x 32 at 45 nm: 85.9 and 84.8 % less (ICM 2010, "
    "Cairo). Low: more than 90 % less at the retention voltage, 4 KB at 130 nm (H. Qin et al., "
    "ISQED 2004). High: more than 80 % less, 32 KB at 130 nm (self reverse bias, VLSI Circuits "
    "2003).",
)
GATED = Constant(
    value=0.045,
    low=0.02,
    high=0.1,
    source="Share that is left behind power switches: 10 to 50 times less is what they are said to "
    "give; geometric mean. An SRAM whose data is not wanted leaks more than 90 % less (VLSI "
    "Circuits 2003, as above).",
)
WAKE = Constant(
    value=2.0,
    low=1.0,
    high=10.0,
    source="Derived. A random addition toggles half of the nodes of an adder, half of these "
    "upwards; waking lifts half of all nodes, twice as many. Low: nodes that float high. High: "
    "rails with decoupling capacitors of four times the nodes.",
)
"""Energy to charge what was off, in additions of as many adders as take its area."""
WAKE_US = 5.0
"""To start the clock: microcontrollers wake in less than 5 us (Texas Instruments on its MSP430)."""


def sleep_between(cost: Cost, mode: Sleep, *, streams: bool = False) -> Asleep | None:
    """What a machine does between inferences of a design; None where it stays on.

    Args:
        cost: of one inference.
        mode: that is asked for.
        streams: activations have a state that must outlive an inference.
    """
    if mode == "on" and not any(memory.asleep for memory in cost.accelerator.memories):
        return None
    keeping = _keeping(cost, streams)
    states: dict[str, State] = {"logic": "on" if mode == "on" else "off"}
    for memory in cost.accelerator.memories:
        if memory.kind != "dram":
            states[memory.name] = _state(memory, mode, memory.name in keeping)
    forgotten = {name: what for name, what in keeping.items() if states[name] == "off"}
    source = _source(cost.accelerator, states, forgotten)
    charged = ZERO if mode == "cut" else _charging(cost, states)
    reloading, cycles = _reloading(cost, source) if source else (ZERO, 0.0)
    waking = 0.0 if mode in ("cut", "on") else WAKE_US
    return Asleep(
        leakage_uw=_leakage(cost, states, mode),
        wake_pj=charged + reloading,
        wake_us=waking + cycles / cost.accelerator.clock_mhz,
        reloaded_bits=cost.stored_bits if source else 0,
        states=states,
        lost=_lost(cost, forgotten, source),
    )


def _keeping(cost: Cost, streams: bool) -> dict[str, str]:
    """Memories on the chip that forget what the next inference needs, and what that is."""
    machine = cost.accelerator
    kept: dict[str, str] = {}
    home = machine.weight_home if weights_stay(cost.stored_bits, machine) else None
    for memory in (home, machine.chain("weights")[-1]):
        if memory is not None and memory.kind in ("sram", "register_file"):
            kept[memory.name] = "weights"
    if streams:
        _, activations = keepers(machine)
        for memory in machine.memories:
            if memory.name in activations and memory.kind in ("sram", "register_file"):
                kept[memory.name] = "the state of the stream"
                break
    return kept


def _state(memory: MemoryLevel, mode: Sleep, keeps: bool) -> State:
    if mode == "cut":
        return "off"
    if memory.asleep is not None:
        return memory.asleep
    if mode == "on":
        return "on"
    return "retention" if mode == "retention" and keeps and memory.kind == "sram" else "off"


def _source(
    machine: Accelerator, states: dict[str, State], forgotten: dict[str, str]
) -> MemoryLevel | None:
    """Where forgotten weights come from again; None where nothing has them, or none are lost."""
    backing = machine.chain("weights")[-1]
    lost = [name for name, what in forgotten.items() if what == "weights"]
    if not lost or backing.name in lost:
        return None
    return backing


def _lost(cost: Cost, forgotten: dict[str, str], source: MemoryLevel | None) -> str:
    gone = []
    for name, what in forgotten.items():
        if what == "weights" and source is not None:
            continue
        bits = f"{cost.stored_bits:,} bits of weights" if what == "weights" else what
        gone.append(f"'{name}' of {cost.accelerator.name} forgets {bits}")
    if not gone:
        return ""
    return (
        f"{' and '.join(dict.fromkeys(gone))} while asleep, and bringing them back is not counted: "
        "use retention, or a memory behind it that keeps them (kind: dram, eflash, rram, mram, "
        "mask_rom)"
    )


def _leakage(cost: Cost, states: dict[str, State], mode: Sleep) -> Band:
    shares = {"on": Band(low=1.0, mid=1.0, high=1.0), "retention": RETAINED.band, "off": GATED.band}
    total = ZERO
    for part, leakage in cost.leakages_uw.items():
        if part not in states:  # a DRAM
            total = total + leakage
        elif mode != "cut":
            share = shares[states[part]]
            total = total + Band(
                low=leakage.low * share.low,
                mid=leakage.mid * share.mid,
                high=leakage.high * share.high,
            )
    return total


def _charging(cost: Cost, states: dict[str, State]) -> Band:
    """Energy to charge all that was not on, logic and macros alike by their area."""
    technology = cost.technology
    area = sum_bands(
        each for part, each in cost.areas_um2.items() if states.get(part, states["logic"]) != "on"
    )
    adder = technology.addition_pj_per_bit.value / technology.adder_um2_per_bit.value
    wake = WAKE.band
    return Band(
        low=area.low * adder * wake.low,
        mid=area.mid * adder * wake.mid,
        high=area.high * adder * wake.high,
    )


def _reloading(cost: Cost, source: MemoryLevel) -> tuple[Band, float]:
    """Energy and cycles to bring all weights from where they are to their home."""
    machine, bits = cost.accelerator, cost.stored_bits
    home = machine.weight_home
    assert home is not None  # what is not in a home is not forgotten, or lost for good
    chain = machine.chain("weights")
    passed = chain[chain.index(home) :]
    energy = ZERO
    for memory in passed:
        read, write = memory_prices(memory, cost.technology)
        energy = energy + (ZERO if memory is home else read) + (ZERO if memory is source else write)
    narrowest = min(memory.bandwidth_bits_per_cycle for memory in passed)
    return energy.scaled(bits), -(-bits // narrowest)
