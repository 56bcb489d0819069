"""The two views of a design point: the workload that is priced, the network that is trained.

`lowering` and `network` walk the same blocks in the same order and name layers alike (`B1.0.pw`);
`mixers/` holds both views of each way to mix channels. A property test counts parameters, MACs and
additions by hooks on the network, and holds them against the workload, for random points.
"""
