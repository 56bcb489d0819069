"""The palette keeps what its docstring says: told apart by all eyes, on light and dark pages.

Linear light, luminance and contrast as in WCAG 2.2; dichromats' views by the matrices of Machado,
Oliveira and Fernandes (2009) at full severity; differences are distances in CIE L*a*b* (D65).
"""

from itertools import combinations, pairwise

import numpy as np
import pytest

from cost_models import Component
from dse import colours

WHITE, DARK = "#FFFFFF", "#14181D"
VIEWS = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(colour: str, page: str) -> float:
    low, high = sorted(float(linear(each) @ TO_XYZ[1]) for each in (colour, page))
    return (high + 0.05) / (low + 0.05)


def lab(light: np.ndarray) -> np.ndarray:
    share = TO_XYZ @ np.clip(light, 0, 1) / (TO_XYZ @ np.ones(3))
    root = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    x, y, z = root
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: str, other: str) -> float:
    return min(
        float(np.linalg.norm(lab(view @ linear(one)) - lab(view @ linear(other))))
        for view in VIEWS.values()
    )


def test_contrast_of_known_colours():
    assert contrast("#000000", WHITE) == pytest.approx(21.0)
    assert contrast("#777777", WHITE) == pytest.approx(4.48, abs=0.01)  # WCAG's usual example


@pytest.mark.parametrize(
    "name", ["DENSE", "TERNARY", "OTHER", "IDENTITY", "FRONTIER", "QUIET", "LIMIT"]
)
def test_lines_and_marks_stand_out_on_any_page(name):
    colour = getattr(colours, name)
    assert min(contrast(colour, WHITE), contrast(colour, DARK)) >= 3.0


def test_bars_stand_out_on_any_page():
    for colour in colours.COMPONENTS.values():
        assert min(contrast(colour, WHITE), contrast(colour, DARK)) >= 2.0, colour


def test_every_component_has_its_colour_in_the_order_of_the_stack():
    assert list(colours.COMPONENTS) == [str(each) for each in Component]


@pytest.mark.parametrize("group", ["components", "series"])
def test_all_eyes_tell_them_apart(group):
    palette = colours.COMPONENTS.values() if group == "components" else colours.SERIES
    for one, other in combinations(palette, 2):
        assert difference(one, other) >= 8.0, (one, other)


def test_neighbours_in_a_stack_are_far_apart():
    for one, other in pairwise(colours.COMPONENTS.values()):
        assert difference(one, other) >= 20.0, (one, other)
