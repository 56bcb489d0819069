"""Sentences on what keeps figures from being compared."""

import dataclasses

import pytest

from cost_models import Cost, estimate, load_accelerator, load_technology
from cost_models.application import Use
from cost_models.library import accelerator_names, technology_names
from dse.design.published import published
from dse.networks.lowering import lower
from dse.pricing.comparable import (
    LOW_LEAKAGE,
    find_leakage,
    leakage_warning,
    own_constants,
    own_words,
    say_technology,
    warmth_words,
)


def cost_in(technology: str, machine: str = "kws_ternary") -> Cost:
    workload = lower(published("matchboxnet-1x1x16-P3"), frames=64, outputs=4)
    return estimate(workload, load_accelerator(machine), load_technology(technology))


def test_a_spotter_in_a_leaky_class_is_told_so_with_figures() -> None:
    cost = cost_in("synthesis_45nm")
    leaked = cost.energy_pj - cost.dynamic_energy.mid
    assert leaked > 0.99 * cost.energy_pj
    said = leakage_warning(cost)
    assert said is not None
    assert said.startswith(
        f"kws_ternary leaks {cost.leakage.mid * 1e-3:.0f} mW in synthesis_45nm: "
        f"{100 * leaked / cost.energy_pj:.1f} % of the energy of an inference ("
    )
    assert "99.998 % of the average power at 1 a second" in said
    assert "its memories are high_performance and its logic is high_performance" in said
    assert said.endswith("low_leakage_22nm or low_leakage_45nm, or cut its supply in between")


@pytest.mark.parametrize("name", [*LOW_LEAKAGE, "sky130_130nm"])
def test_a_low_leakage_class_is_not_warned_of(name: str) -> None:
    technology = load_technology(name)
    assert {technology.logic_class.level, technology.memory_class.level} == {"low_leakage"}
    assert leakage_warning(cost_in(name)) is None


def test_the_classes_alone_tell_what_is_low() -> None:
    low = {
        name
        for name in technology_names()
        if {load_technology(name).logic_class.level, load_technology(name).memory_class.level}
        == {"low_leakage"}
    }
    assert low == {*LOW_LEAKAGE, "sky130_130nm"}


def test_a_machine_that_is_always_busy_may_leak() -> None:
    figures = {"energy_pj": 100.0, "dynamic_pj": 80.0, "leakage_uw": 2.0}
    machine, technology = load_accelerator("tpu_like"), load_technology("synthesis_45nm")
    # 80 pJ at 100,000 a second are 8 uW, and 2 uW leak: 20 % of energy and power.
    busy = find_leakage(machine, technology, **figures, average_power_uw=10.0, rate=1e5)
    assert busy is None
    # At a thousand a second 0.08 of 2.08 uW compute.
    waits = find_leakage(machine, technology, **figures, average_power_uw=2.08, rate=1e3)
    assert waits is not None
    assert "20 % of the energy of an inference" in waits
    assert "96 % of the average power at 1000 a second" in waits
    # Too slow for the rate: the energy alone decides.
    assert find_leakage(machine, technology, **figures, average_power_uw=None, rate=1e9) is None


def test_a_rate_that_cannot_be_kept_has_no_share_of_power() -> None:
    said = leakage_warning(cost_in("synthesis_45nm"), Use(inferences_per_second=1e6))
    assert said is not None and "average power" not in said


def test_machines_with_constants_of_their_own_say_so() -> None:
    own = {name for name in accelerator_names() if own_constants(load_accelerator(name))}
    assert own == {"edge_tpu_like", "eyeriss_like", "tpu_like"}
    machine, technology = load_accelerator("edge_tpu_like"), load_technology("low_leakage_45nm")
    assert own_constants(machine)["macs"] == ("ZigZag 3.9.1, edge_tpu_like",)
    assert say_technology(machine, technology) == "low_leakage_45nm and own constants"
    assert own_words(machine, technology) == (
        "edge_tpu_like has constants of its own (ZigZag 3.9.1, edge_tpu_like) for 'macs', "
        "'weight_sram', 'activation_sram' and 'dram'; only the rest is low_leakage_45nm. Beside a "
        "machine without them, figures differ by their sources, too"
    )
    plain = load_accelerator("kws_int8")
    assert say_technology(plain, technology) == "low_leakage_45nm"
    assert own_words(plain, technology) is None
    registers = dataclasses.replace(
        machine.arrays[0], operation_pj=None, outputs=plain.arrays[0].outputs
    )
    only = dataclasses.replace(machine, arrays=(registers,), memories=plain.memories)
    assert set(own_constants(only)) == {"macs"}  # those of its register of weights


def test_temperatures_are_told_where_they_differ() -> None:
    both = [load_technology(name) for name in LOW_LEAKAGE]
    assert warmth_words(both) == (
        "Leakage of memories is at 300 K in low_leakage_22nm and 350 K in low_leakage_45nm: "
        "compare powers with that in mind"
    )
    assert warmth_words(both[:1]) is None
