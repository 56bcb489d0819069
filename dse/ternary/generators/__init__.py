"""Generators of constant ternary matrices: one file a family, each with the same functions.

A *family* turns a start state into trits, row by row. Whatever is true of one family alone stands
in its file, under the contract of `family.Family`: its parameters and which of them are sound, its
matrix, the jump to a later state, and what its Verilog module takes. The design's choice, a family
with its parameters, is a `Generator`.

    family           the contract, and the parameters that a family reads
    shift_register   a stream of bits;  registers: what the families on it share
    lfsr_threshold   lfsr_and   one_hot   counter_arx   sobol: the families
    choice           the registry `FAMILIES`, and `Generator`, checked at birth

`dse.ternary.matrix` is the door: it hashes the start state and calls the family.

A new family is

1. its file here, and its name in `choice.FAMILIES`;
2. its Verilog, `dse/rtl/verilog/NAME.v`, with the ports of the others (`lfsr_and.v` is short);
3. what its circuit is built of, a function in `cost_models/generator.py` (`FAMILIES` there); where
   it has a part that no other family has, the area and energy of that part with their source;
4. for C exports, `dse/export/c/NAME.h` with `NAME_row`: the entries of one row.

Spaces, files, the command line, the dashboard and exports find it by the registry. Tests of
`tests/dse/ternary/test_generators.py` and `tests/dse/rtl/test_rtl.py` run over all families.
"""

from dse.ternary.generators.choice import FAMILIES, Generator, as_generator, find_family, has
from dse.ternary.generators.family import Family, Signs
from dse.ternary.generators.registers import REGISTERS

__all__ = [
    "FAMILIES",
    "REGISTERS",
    "Family",
    "Generator",
    "Signs",
    "as_generator",
    "find_family",
    "has",
]
