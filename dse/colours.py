"""Colours by what they mean: the same in every plot, page and table of this program.

A reader who has learnt that vermilion is ternary should find it so in the report, in the dashboard
and in a printed figure. So a drawing takes its colours from here, by their meaning.

The hues are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart with any colour
vision, and a few more that were chosen against them: with full colour vision, protanopia and
deuteranopia (Machado et al., 2009) any two colours of one plot differ by at least 8 in CIE L*a*b*,
neighbours in a stack of bars by at least 20 (2 is just seen). Colours of lines and marks stand
3 : 1 or more against a white and against a dark page; those of bars, which are large, 2 : 1. A
test computes this. Colour is never the only mark: kinds of designs differ in shape, too.
"""

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PINK, SKY, ORANGE = "#CC79A7", "#56B4E9", "#E69F00"
INDIGO, BRICK, SAND, GREY = "#6E6EF7", "#A33D29", "#BDB175", "#8C8C8C"
RASPBERRY, SLATE, VIOLET = "#B03050", "#305070", "#5030D0"

DENSE = BLUE
"""Matrices that are trained."""
TERNARY = VERMILION
"""Matrices of -1, 0 and +1."""
OTHER = "#8F5BE0"
"""Matrices of other kinds, such as low rank."""
IDENTITY = PINK
"""No matrix at all."""
FRONTIER = GREEN
"""Designs that no other beats in everything."""
CONFIRMED = PINK
"""What fresh seeds said of a design."""
SHORTLISTED = "#C8324B"
"""Rings round what a reader chose; crimson is that of the dashboard's buttons, too."""
QUIET = GREY
"""What is there but not the point: designs over a limit, stopped, or dominated."""
LIMIT = "#B37A00"
"""A limit of a study: a dashed line. A darker orange, as a thin line needs contrast."""

COMPONENTS = {
    "multiply_accumulate": DENSE,
    "ternary_addition": TERNARY,
    "post_processing": PINK,
    "register": SKY,
    "buffer": SAND,
    "sram": INDIGO,
    "nonvolatile": GREEN,
    "dram": BRICK,
    "generator": ORANGE,
    "wires": RASPBERRY,
    "clock": SLATE,
    "control": VIOLET,
    "leakage": QUIET,
}
"""What spends energy, by the values of `cost_models.Component`; in this order in a stack."""

TRITS = {1: VERMILION, -1: BLUE, 0: "#DDDDDD"}
"""Entries of a ternary matrix, drawn as squares."""

SERIES = (INDIGO, ORANGE, SKY, BRICK, SAND, RASPBERRY)
"""Of names without a meaning of their own, such as machines. No colour that means something in a
plot of designs is among them: a machine that is drawn in vermilion would look ternary."""

INK, FAINT, GRID = "#1F2328", "#59636E", "#D8DEE4"
"""On a white page: letters and axes; notes; lines to read a value by."""
