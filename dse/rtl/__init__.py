"""Generators and the ternary mixing engine as hardware.

* `verilog/`: the modules, Verilog-2005, written by hand and parameterised by lanes.
* `designs`: which module and which parameters make a design's generator or engine, and the words
  (seed, limit) that start it.
* `export`: a folder with modules, top, self-checking test bench and vectors.
* `yosys`, `netlist`: synthesis by pyosys (the extra `rtl`), and a simulator of its netlists.
* `check`: those netlists beside the reference model.
* `icarus`: the exported test bench in Icarus Verilog, where it is installed.
"""
