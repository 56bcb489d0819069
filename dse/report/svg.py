"""Plots as SVG: matplotlib's, made fit for a page that allows no style but its own.

matplotlib writes `style="fill: #0072b2"`, which the page's policy (CSP) refuses, ids that would
clash among plots, and no word of what a mark is. So its tree is read back and changed: styles
become attributes, ids go where nothing refers to them, the page's own colours become classes, which
it sets for light and dark, and marks get their tips. Repeatable: no date, ids from a fixed salt.

What a group is, it knows by the id that `figures.py` gave it (gid):

    series-2   marks of a series      -> data-series="2", each mark with a <title>: its tip
    of-2       bars and labels of it  -> data-series="2"
    name-2     its name in the legend -> data-legend="2"
    ground     the white ground       -> taken out of what stands within a page

The page's script needs no more to let a reader hide a series by its name in the legend.
"""

import re
from functools import lru_cache
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from dse.colours import GRID, INK
from dse.columns import significant
from dse.report.content import Bars, Plot, Scatter, printable
from dse.report.figures import counted, draw_plot, saved

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
PAGE_COLOURS = {INK.lower(): "ink", GRID.lower(): "grid"}
FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"


def svg_file(plot: Plot) -> str:
    """A plot as a file of its own: white ground, fixed colours, a size in points."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_drawn(plot)[0]}\n'


def svg_inline(plot: Plot) -> str:
    """A plot as part of a page: no ground of its own, as wide as the page allows."""
    return _drawn(plot)[1]


@lru_cache(maxsize=64)  # a page of the dashboard asks again and again
def _drawn(plot: Plot) -> tuple[str, str]:
    """As a file and as part of a page."""
    drawn = saved(draw_plot(plot), "svg").decode()
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    root = ElementTree.fromstring(drawn)
    for element in root.findall(f"{{{SVG}}}metadata"):
        root.remove(element)
    for defs in root.findall(f"{{{SVG}}}defs"):
        for style in defs.findall(f"{{{SVG}}}style"):
            defs.remove(style)
    # Ids that clip paths and markers are referred to by must stay; all others would be there twice
    # in a page of several plots.
    referred = set(re.findall(r"#(\w+)", drawn))
    tips = _tips(plot)
    for element in root.iter():
        _styled(element)
        name = element.get("id", "")
        if name not in referred:
            element.attrib.pop("id", None)
        _known(element, name, tips)
    # What matplotlib's style sheet said of all elements, these inherit.
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt", "font-family": FONT}
    title = Element(f"{{{SVG}}}title")
    title.text = printable(plot.title)
    root.insert(0, title)
    file = ElementTree.tostring(root, encoding="unicode")
    for figure in root:
        for ground in figure.findall("*[@data-ground]"):
            figure.remove(ground)
    root.attrib = {k: v for k, v in root.attrib.items() if k not in ("width", "height")}
    root.attrib |= {"class": "plot", "role": "img"}
    return file, ElementTree.tostring(root, encoding="unicode")


def _styled(element: Element) -> None:
    """Styles as attributes, and the page's colours as classes, too."""
    for each in filter(None, element.attrib.pop("style", "").split(";")):
        name, _, value = (part.strip() for part in each.partition(":"))
        if name != "font-family":
            element.set(name, value)
    names = [
        f"{what}-{PAGE_COLOURS[colour]}"
        for what in ("fill", "stroke")
        if (colour := element.get(what, "").lower()) in PAGE_COLOURS
    ]
    if names:
        element.set("class", " ".join(names))
    if element.text:
        element.text = printable(element.text)


def _tips(plot: Plot) -> list[list[str]]:
    """Of each series, what each of its marks is."""
    if isinstance(plot, Scatter):
        series = counted(plot).series
        return [[p.tip for p in each.points] if each.marker != "stairs" else [] for each in series]
    return [
        [_bar_tip(plot, name, lengths, part) for name, lengths in plot.bars if lengths[part] > 0]
        for part in range(len(plot.parts))
    ]


def _bar_tip(plot: Bars, name: str, lengths: tuple[float, ...], part: int) -> str:
    share = f"{significant(lengths[part])} of {significant(sum(lengths))}"
    return f"{name}\n{plot.parts[part][0]}: {share}\n{plot.x_title}"


def _known(group: Element, name: str, tips: list[list[str]]) -> None:
    """Say to which series a group belongs, and what each of its marks is."""
    what, _, series = name.partition("-")
    if name == "ground":
        group.set("data-ground", "")
    if what in ("series", "of", "name") and series:
        group.set("data-legend" if what == "name" else "data-series", series)
    if what == "series":
        # Marks are uses of one shape, bars are shapes.
        marks = list(group.iter(f"{{{SVG}}}use")) or list(group.iter(f"{{{SVG}}}path"))
        for mark, tip in zip(marks, tips[int(series)], strict=bool(tips[int(series)])):
            title = ElementTree.SubElement(mark, f"{{{SVG}}}title")
            title.text = printable(tip)
            mark.set("class", f"{mark.get('class', '')} tipped".strip())
