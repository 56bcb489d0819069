"""The two views of a design point: the workload that is priced, the network that is trained.

`lowering` and `network` walk the same blocks in the same order and name layers alike (`B1.0.pw`);
`mixers/` holds both views of each way to mix channels. A property test counts parameters, MACs and
additions by hooks on the network, and holds them against the workload, for random points.

    DesignPoint -> lower(point, frames, outputs)   -> Workload        numbers only, without torch
                -> build_network(point, outputs)   -> SpeechNetwork   (N, C, T) -> scores

Two views, as a search prices thousands of points for each one that it trains. What can drift apart,
the walk over blocks, is written twice and tested; what must not, the shape, stride and name of each
1x1, is written once (`dse.design.places`): a ternary matrix is a function of its layer's name.
"""
