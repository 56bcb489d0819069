"""Analytic cost models of accelerators for 1-D convolutional networks.

Example:
    machine = load_accelerator("kws_ternary")
    cost = estimate(workload, machine, load_technology(machine.technology))
    cost.energy, cost.latency_us, cost.area, cost.columns(), cost.breakdown
"""

from cost_models.accelerator import Accelerator, ComputeArray, GeneratorUnit, MemoryLevel, Register
from cost_models.band import Band
from cost_models.cost import Cost, LayerCost
from cost_models.energy import Component
from cost_models.errors import (
    InvalidAccelerator,
    InvalidFile,
    InvalidInput,
    InvalidLayer,
    UnmappableLayer,
)
from cost_models.estimation import estimate
from cost_models.generator import GeneratorSpec
from cost_models.latency import Bound
from cost_models.library import (
    accelerator_names,
    load_accelerator,
    load_technology,
    load_technology_of,
    technology_names,
)
from cost_models.sram import SramRow, SramTable
from cost_models.technology import Constant, Technology
from cost_models.tile_search import Mapping, Objective
from cost_models.workload import Layer, LayerKind, WeightSource, Workload

__all__ = [
    "Accelerator",
    "Band",
    "Bound",
    "Component",
    "ComputeArray",
    "Constant",
    "Cost",
    "GeneratorSpec",
    "GeneratorUnit",
    "InvalidAccelerator",
    "InvalidFile",
    "InvalidInput",
    "InvalidLayer",
    "Layer",
    "LayerCost",
    "LayerKind",
    "Mapping",
    "MemoryLevel",
    "Objective",
    "Register",
    "SramRow",
    "SramTable",
    "Technology",
    "UnmappableLayer",
    "WeightSource",
    "Workload",
    "accelerator_names",
    "estimate",
    "load_accelerator",
    "load_technology",
    "load_technology_of",
    "technology_names",
]
