"""A ternary matrix as a function of (seed, layer): one file a generator family.

    (seed, layer name) -- SHA-256 -->  start state  -- family -->  -1, 0, +1, row by row

The same function is computed here (the reference), in torch by what is made here, in exported
Verilog and in exported C, bit for bit; so a checkpoint stores a seed where others store weights.
"""
