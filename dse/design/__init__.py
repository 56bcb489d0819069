"""Design points: networks as data, and the spaces they are chosen from. No torch.

    family + values  ->  DesignPoint (blocks, head, seed)  ->  key, file, views of `dse.networks`

`point` says what a network is, `families/` how a handful of named values become one, `space` which
values a study may take, `policies` which matrices become ternary. `places` and `matrices` look at a
point's 1x1 matrices one by one.
"""
