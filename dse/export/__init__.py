"""A design leaves the tool: for PyTorch, for runtimes of ONNX, for microcontrollers.

`source` is the network that leaves; the other modules write it, one a format. Formats of other
tools that price designs are in `dse.interchange`.
"""
