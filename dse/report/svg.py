"""Pictures as SVG: within a page, which colours them, or as files of their own."""

from html import escape

from dse.report.drawing import Box, Line, Mark, Picture, Shape, Words

FIXED = {"ink": "#1f2328", "quiet": "#6e7781", "grid": "#d8dee4"}
"""Colours of a file; a page has its own, for light and dark."""


def svg_file(picture: Picture) -> str:
    """A picture as a file: white ground, fixed colours."""
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        + _svg(picture, ground, inline=False, attributes='xmlns="http://www.w3.org/2000/svg" ')
        + "\n"
    )


def svg_inline(picture: Picture) -> str:
    """A picture as part of a page: colours by class, marks that tell what they are."""
    return _svg(picture, "", inline=True, attributes='class="plot" role="img" ')


def _svg(picture: Picture, ground: str, *, inline: bool, attributes: str) -> str:
    size = f"{picture.width:g} {picture.height:g}"
    fixed = "" if inline else f'width="{picture.width:g}" height="{picture.height:g}" '
    shapes = "\n".join(_shape(shape, inline) for shape in picture.shapes)
    return (
        f'<svg {attributes}{fixed}viewBox="0 0 {size}" '
        f'font-family="system-ui, Helvetica, Arial, sans-serif">\n'
        f"<title>{text(picture.title)}</title>\n{ground}{shapes}\n</svg>"
    )


def text(words: str) -> str:
    """A text as XML: no markup, and no control characters, which XML 1.0 does not have."""
    return escape("".join(c for c in words if c >= " " or c in "\t\n"), quote=True)


def _shape(shape: Shape, inline: bool) -> str:
    series = f' data-series="{shape.series}"' if inline and shape.series >= 0 else ""
    match shape:
        case Line():
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            dashes = ' stroke-dasharray="5 4"' if shape.dashed else ""
            return (
                f'<polyline points="{points}" fill="none" {_paint("stroke", shape.colour, inline)} '
                f'stroke-width="{shape.width:g}"{dashes}{series}/>'
            )
        case Words():
            return _words(shape, series, inline)
        case Mark():
            return _tipped(_mark(shape, inline), shape.tip, series, inline)
        case Box():
            box = (
                f'<rect x="{shape.x:.2f}" y="{shape.y:.1f}" width="{max(shape.width, 0.3):.2f}" '
                f'height="{shape.height:.1f}" {_paint("fill", shape.colour, inline)}/>'
            )
            return _tipped(box, shape.tip, series, inline)


def _words(words: Words, series: str, inline: bool) -> str:
    weight = ' font-weight="600"' if words.bold else ""
    turned = f' transform="rotate(-90 {words.x:.1f} {words.y:.1f})"' if words.upright else ""
    return (
        f'<text x="{words.x:.1f}" y="{words.y:.1f}" font-size="{words.size:g}" '
        f'text-anchor="{words.anchor}"{weight}{turned} {_paint("fill", words.colour, inline)}'
        f"{series}>{text(words.text)}</text>"
    )


def _mark(mark: Mark, inline: bool) -> str:
    fill = _paint("fill", mark.colour, inline)
    x, y = mark.x, mark.y
    if mark.kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {fill}/>'
    if mark.kind == "triangle":
        points = f"{x:.1f},{y - 5:.1f} {x + 4.6:.1f},{y + 3.5:.1f} {x - 4.6:.1f},{y + 3.5:.1f}"
        return f'<polygon points="{points}" {fill}/>'
    return f'<rect x="{x - 0.8:.1f}" y="{y - 5:.1f}" width="1.6" height="10" {fill}/>'


def _tipped(shape: str, tip: str, series: str, inline: bool) -> str:
    if not tip:
        return f"<g{series}>{shape}</g>" if series else shape
    shown = f' class="tipped" tabindex="0" data-tip="{text(tip)}"' if inline else ""
    return f"<g{series}{shown}>{shape}<title>{text(tip)}</title></g>"


def _paint(what: str, colour: str, inline: bool) -> str:
    if colour in FIXED:
        return f'class="{what}-{colour}"' if inline else f'{what}="{FIXED[colour]}"'
    return f'{what}="{colour}"'
