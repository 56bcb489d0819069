"""The whole machine as a circuit: Verilog, memory images, a test bench, and what it proves.

machine        what of a machine the circuit has, and what is refused
tensors        where each tensor lies in the activation memory
nests          loops with address steps, as descriptors hold them
convolutions   a mapping as the nests of all engines
vectors        sums, means and scores likewise
descriptors    fields of a layer's descriptor, and their bits
export         the folder
simulation     Verilator or Icarus runs it
comparison     cycles and accesses of each layer: circuit and model
"""
