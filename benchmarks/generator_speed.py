"""Seconds to make all ternary matrices of QuartzNet-15x5 (policy P4), by family.

python benchmarks/generator_speed.py
"""

import time

from dse.design.published import published
from dse.networks.lowering import lower
from dse.ternary.generators import FAMILIES, Generator
from dse.ternary.matrix import ternary_matrix


def main() -> None:
    """Print the best of three runs."""
    workload = lower(published("quartznet-15x5-P4"), frames=100, outputs=29)
    layers = [layer for layer in workload.layers if layer.generated_weights]
    print(f"{sum(layer.weight_entries for layer in layers):,} entries in {len(layers)} matrices")
    for family in FAMILIES:
        generator, best = Generator(family=family), float("inf")
        for _ in range(3):
            start = time.perf_counter()
            for layer in layers:
                ternary_matrix(
                    1, layer.name, layer.out_channels, layer.in_channels, 0.25, generator
                )
            best = min(best, time.perf_counter() - start)
        print(f"{family:<16}{best:.2f} s")


if __name__ == "__main__":
    main()
