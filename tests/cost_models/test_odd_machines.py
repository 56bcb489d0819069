"""Any machine and any network: one clear sentence, or figures that hardware could have.

Machines, layers and technologies are put together at random, sensible or not. Nothing may end in
another error than `InvalidInput`, cost nothing where hardware works, or count a part of a bit.
"""

import math

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cost_models import (
    Accelerator,
    ComputeArray,
    GeneratorSpec,
    InvalidInput,
    Layer,
    LayerKind,
    MemoryLevel,
    Register,
    WeightSource,
    Workload,
    estimate,
    load_technology,
    technology_names,
)
from cost_models.accelerator import AXES, OPERANDS, GeneratorUnit
from cost_models.break_even import break_even
from cost_models.generator import FAMILIES
from cost_models.roofline import roofline
from cost_models.row_loads import row_loads
from cost_models.streaming import stream
from cost_models.technology import Constant
from cost_models.workload import CONVOLUTIONS, IN_LINE

TECHNOLOGIES = {name: load_technology(name) for name in technology_names()}
OWN = Constant(value=0.01, low=0.001, high=0.2, source="made up")
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 16, 31, 33, 64])
SIZES = st.sampled_from([1, 2, 3, 4, 7, 8, 16])
constants = st.sampled_from([None, OWN])

SPECS = st.builds(
    GeneratorSpec,
    family=st.sampled_from(sorted(FAMILIES)),
    state_bits=st.sampled_from([1, 31, 127]),
    decision_bits=st.integers(0, 8),
    rounds=st.integers(0, 8),
)


@st.composite
def layers(draw, number, channels, frames):
    kind = draw(st.sampled_from(LayerKind))
    shape = {"in_channels": channels, "out_channels": channels, "out_frames": frames}
    if kind in CONVOLUTIONS:
        divisors = [groups for groups in range(1, channels + 1) if channels % groups == 0]
        groups = {LayerKind.DEPTHWISE: channels}.get(kind, 1)
        if kind is LayerKind.CONVOLUTION:
            groups = draw(st.sampled_from(divisors))
        outputs = groups * draw(st.integers(1, 9)) if groups > 1 else draw(CHANNELS)
        wide = kind in (LayerKind.CONVOLUTION, LayerKind.DEPTHWISE)
        taps = draw(st.sampled_from([1, 2, 3, 29, 87])) if wide else 1
        stride = 1 if kind is LayerKind.LINEAR else draw(st.sampled_from([1, 1, 2, 3]))
        shape |= {
            "out_channels": outputs,
            "out_frames": (frames - 1) // stride + 1,
            "kernel_size": taps,
            "stride": stride,
            "dilation": draw(st.sampled_from([1, 2, 5])),
            "groups": groups,
            "bias": draw(st.booleans()),
            "weights": WeightSource.TRAINED,
            "weight_bits": draw(st.sampled_from([1, 2, 8])),
        }
        if draw(st.booleans()):
            entries = outputs * (channels // groups) * taps
            mask = np.random.default_rng(number).random(entries) < draw(
                st.sampled_from([0, 0.2, 1])
            )
            shape |= {
                "weights": WeightSource.GENERATED,
                "weight_bits": 2,
                "nonzeros": int(mask.sum()),
                "nonzero_mask": np.packbits(mask).tobytes(),
                "generator": draw(SPECS),
            }
    if kind is LayerKind.AVERAGE_POOL:
        shape["out_frames"] = 1
    if kind is LayerKind.BATCH_NORM:
        shape["folded"] = draw(st.booleans())
    return Layer(
        name=f"layer{number}",
        kind=kind,
        in_frames=frames,
        input_bits=draw(st.sampled_from([1, 4, 8, 8])),
        output_bits=draw(st.sampled_from([1, 4, 8, 8])),
        accumulator_bits=draw(st.sampled_from([8, 16, 24])),
        **shape,
    )


@st.composite
def workloads(draw):
    channels, frames = draw(CHANNELS), draw(st.sampled_from([1, 2, 7, 20, 65]))
    made = []
    for number in range(draw(st.integers(1, 4))):
        made.append(draw(layers(number, channels, frames)))
        channels, frames = made[-1].out_channels, made[-1].out_frames
    return Workload("random", tuple(made))


@st.composite
def registers(draw, least):
    return Register(
        capacity_bits=least * draw(st.sampled_from([1, 1, 2, 10])),
        shared_along=tuple(draw(st.lists(st.sampled_from(AXES), unique=True))),
        word_bits=draw(st.sampled_from([1, 1, 8])),
        read_pj_per_bit=draw(constants),
        write_pj_per_bit=draw(constants),
    )


@st.composite
def arrays(draw, name, element):
    mac, tree = element == "mac", element == "ternary_tree"
    operand_bits, sum_bits = draw(st.sampled_from([8, 8, 16])), draw(st.sampled_from([24, 32]))
    optional = {
        operand: draw(st.none() | registers(operand_bits)) for operand in ("weights", "inputs")
    }
    links = ["broadcast", "multicast", "systolic"] if mac else ["broadcast", "multicast"]
    flows = ["auto", "weight_stationary", "output_stationary", "input_stationary"]
    return ComputeArray(
        name=name,
        element=element,
        rows=draw(SIZES),
        columns=draw(SIZES),
        lanes=1 if tree else draw(st.sampled_from([1, 1, 3])),
        interconnect=draw(st.sampled_from(links)),
        operand_bits=operand_bits,
        accumulator_bits=sum_bits,
        saturates=draw(st.booleans()),
        zero_handling="dense" if mac else draw(st.sampled_from(["dense", "gated", "skipped"])),
        dataflow=draw(st.sampled_from(flows)),
        depthwise=draw(st.sampled_from(["auto", "one_channel_per_pass", "channels_across_array"])),
        bypass=draw(st.booleans()),
        outputs=draw(registers(sum_bits)),
        operation_pj=draw(constants),
        **optional,
    )


@st.composite
def memories(draw, number):
    kind = draw(st.sampled_from(["register_file", "sram", "dram"]))
    sizes = [65_536, 10**5, 10**6] if kind == "sram" else [64, 1_000, 8_192, 10**6, 10**9]
    capacity = draw(st.sampled_from(sizes))
    own = constants if kind == "dram" else st.just(OWN)  # no table has these sizes and ports
    return MemoryLevel(
        name=f"memory{number}",
        kind=kind,
        holds=tuple(draw(st.lists(st.sampled_from(OPERANDS), unique=True, min_size=1))),
        capacity_bits=capacity,
        bandwidth_bits_per_cycle=min(capacity, draw(st.sampled_from([1, 7, 8, 64, 2048]))),
        ports=draw(st.sampled_from(["shared", "separate"])),
        word_bits=draw(st.sampled_from([1, 1, 7, 8, 64])),
        read_pj_per_bit=draw(own),
        write_pj_per_bit=draw(own),
        leakage_uw=draw(own),
        area_um2=draw(own),
    )


@st.composite
def machines(draw):
    elements = ["mac", *draw(st.sampled_from([(), ("ternary_adder",), ("ternary_tree",)]))]
    held = [draw(memories(number)) for number in range(draw(st.integers(0, 3)))]
    if not held or draw(st.integers(0, 4)):
        held.append(
            MemoryLevel(
                name="last",
                kind="dram",
                holds=OPERANDS,
                capacity_bits=10**10,
                bandwidth_bits_per_cycle=64,
            )
        )
    ternary = draw(st.sampled_from(["generated", "stored", "stored", "refused"]))
    generator = GeneratorUnit(trits_per_cycle=draw(SIZES)) if ternary == "generated" else None
    return Accelerator(
        name="random",
        description="",
        source="made up",
        technology="",
        clock_mhz=draw(st.sampled_from([0.001, 1.0, 1e4])),
        arrays=tuple(draw(arrays(element, element)) for element in elements),
        memories=tuple(held),
        vector_lanes=draw(SIZES),
        ternary_weights=ternary,
        generator=generator,
        residency=draw(st.sampled_from(["where_it_fits", "never"])),
    )


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    workloads(),
    st.data(),
    st.sampled_from(sorted(TECHNOLOGIES)),
    st.sampled_from(["energy", "latency", "edp"]),
)
def test_one_sentence_or_figures_that_hardware_could_have(workload, data, technology, objective):
    try:
        machine = data.draw(machines())
        if data.draw(st.booleans()):
            workload = stream(workload, data.draw(st.sampled_from([1, 2, 6]))).workload
        cost = estimate(workload, machine, TECHNOLOGIES[technology], objective)
    except InvalidInput as error:
        assert len(str(error).splitlines()) == 1
        assume(False)
    for name, figure in cost.columns().items():
        assert 0 <= figure < math.inf, name
    for each in cost.layers:
        works = each.layer.kind is not LayerKind.BATCH_NORM
        assert 0 <= each.energy.low <= each.energy.mid <= each.energy.high < math.inf
        dynamic = cost.prices.energy_pj(cost.prices.without_leakage(each.counts))
        assert (dynamic > 0).all() if works else (dynamic >= 0).all()
        assert (each.counts >= 0).all() and (each.counts == np.floor(each.counts)).all()
        assert each.latency_cycles >= (1 if each.layer.kind in CONVOLUTIONS else 0)
        assert 0 <= each.utilisation <= 1
        if each.layer.kind not in IN_LINE:  # those are beside the layer before them
            assert each.latency_cycles >= max(each.port_cycles.values(), default=0)
    assert sum(cost.bounds_cycles.values()) == cost.latency_cycles
    for roof in roofline(cost):
        assert 0 < roof.reached <= roof.peak or not roof.operations
    for load in row_loads(cost):
        assert load.filled_steps <= load.skipping_steps <= load.dense_steps
    panel = break_even(cost)
    assert panel is None or panel.generated.mid > 0 < panel.stored.mid
