"""Generators and the ternary mixing engine as hardware.

* `verilog/`: the modules, Verilog-2005, written by hand and parameterised by lanes.
* `designs`: which module and which parameters make a design's generator or engine, and the words
  (seed, limit) that start it.
* `export`: a folder with modules, top, self-checking test bench and vectors.
* `yosys`, `area`: synthesis by pyosys (the extra `rtl`), and the cells of a library that it takes.
* `icarus`: the exported test bench in Icarus Verilog, where it is installed.
"""
