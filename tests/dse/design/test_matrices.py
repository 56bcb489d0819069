import numpy as np
import pytest

from cost_models.workload import WeightSource
from dse.design.matrices import count_facts, matrix_at
from dse.design.places import ternary_places
from dse.design.published import published
from dse.networks.lowering import lower


@pytest.mark.parametrize("name", ["matchboxnet-3x2x64-P1", "matchboxnet-3x1x64-P4"])
def test_matrices_are_those_that_are_priced(name: str) -> None:
    point = published(name)
    layers = [
        layer
        for layer in lower(point, frames=128, outputs=12).layers
        if layer.weights is WeightSource.GENERATED
    ]
    places = list(ternary_places(point).values())
    assert [place.name for place in places] == [layer.name for layer in layers]
    for place, layer in zip(places, layers, strict=True):
        matrix = matrix_at(place)
        assert matrix.shape == (layer.out_channels, layer.in_channels)
        assert count_facts(place, matrix).nonzeros == layer.nonzeros
        assert np.packbits(matrix != 0).tobytes() == layer.nonzero_mask


def test_a_dense_network_has_none() -> None:
    assert ternary_places(published("matchboxnet-3x1x64")) == {}


def test_dead_rows_and_columns_are_counted() -> None:
    place = next(iter(ternary_places(published("matchboxnet-3x1x64-P1")).values()))
    matrix = np.zeros((place.out_channels, place.in_channels), dtype=np.int8)
    matrix[0, 0], matrix[0, 1], matrix[2, 1] = 1, -1, 1
    facts = count_facts(place, matrix)
    assert (facts.nonzeros, facts.negatives) == (3, 1)
    assert facts.dead_rows == place.out_channels - 2
    assert facts.dead_columns == place.in_channels - 2
    assert facts.density == 3 / matrix.size
