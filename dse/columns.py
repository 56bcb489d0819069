"""Columns as people read them: names with units, numbers of a readable size.

Inside, one unit per quantity; the factors here are for tables and axes only. A column's own unit is
the end of its name (`energy_pj`, `area_um2`, `latency_us`); counts have none, errors are shares
from 0 to 1. As objectives all are minimised.

Columns ending in `_low_pj`, `_high_um2` and so on are the ends of the band that the technology's
constants have; counts have no band.
"""

import math
import re
from collections.abc import Iterable

from cost_models.units import KIBIBYTE_BITS

COST_COLUMNS = (
    "trained_parameters",
    "stored_bits",
    "activation_bits",
    "generated_weights",
    "trits",
    "macs",
    "multiplications",
    "additions",
    "dense_additions",
    "weight_traffic_bits",
    "activation_traffic_bits",
    "dram_traffic_bits",
    "energy_pj",
    "energy_low_pj",
    "energy_high_pj",
    "latency_cycles",
    "latency_us",
    "area_um2",
    "area_low_um2",
    "area_high_um2",
    "leakage_uw",
    "average_power_uw",
    "sram_bits",
)
"""Columns of the cost of a design, from `cost_models.Cost.columns`; all may be limits."""


STREAM_COLUMNS = (
    "hop_energy_pj",
    "hop_energy_low_pj",
    "hop_energy_high_pj",
    "hop_latency_us",
    "hop_activation_bits",
    "stream_state_bits",
    "wait_us",
    "listening_power_uw",
)
"""Columns of the cost of a design on a stream (`dse.pricing.listening`): of studies that say
`stream`, and of designs that the hop fits; all may be limits there."""

MEASURED_COLUMNS = ("error", "quantised_error")
"""Columns that only a training tells; everything else is known before."""


OBJECTIVE_COLUMNS = (*MEASURED_COLUMNS, *COST_COLUMNS, *STREAM_COLUMNS)
"""Columns that a study may minimise; those of a stream need its `stream`."""


def first_cost(objectives: Iterable[str]) -> str:
    """The first objective that is known without a training; energy where there is none.

    The axis beside the error in plots of two dimensions, and what a frontier is sorted by.

    Args:
        objectives: columns of a study, in its order.
    """
    return next((name for name in objectives if name not in MEASURED_COLUMNS), "energy_pj")


def first_measured(objectives: Iterable[str]) -> str:
    """What of a network's mistakes counts: the int8 one's where a study asks for it."""
    return "quantised_error" if "quantised_error" in tuple(objectives) else "error"


def other_measured(measured: str) -> str:
    """Of the errors in floats and in whole numbers the one that a study does not minimise."""
    [other] = [name for name in MEASURED_COLUMNS if name != measured]
    return other


NUMBERS = {"error": "in floats", "quantised_error": "in whole numbers"}
"""What each error is computed in, as the heading of a column that stands behind another error."""

KIB = 1 / KIBIBYTE_BITS
"""Bits are shown in KiB, as memories are sold and drawn: 8,192 bits each."""

LABELS: dict[str, tuple[str, str, float]] = {
    "error": ("error", "%", 100.0),
    "quantised_error": ("error in whole numbers", "%", 100.0),
    "trained_parameters": ("trained parameters", "", 1.0),
    "stored_bits": ("stored", "KiB", KIB),
    "activation_bits": ("activations alive at a time", "KiB", KIB),
    "generated_weights": ("generated weights", "", 1.0),
    "trits": ("trits made per inference", "", 1.0),
    "macs": ("MACs", "M", 1e-6),
    "multiplications": ("multiplications", "M", 1e-6),
    "additions": ("additions", "M", 1e-6),
    "dense_additions": ("additions of a dense datapath", "M", 1e-6),
    "weight_traffic_bits": ("weight traffic", "KiB", KIB),
    "activation_traffic_bits": ("activation traffic", "KiB", KIB),
    "dram_traffic_bits": ("DRAM traffic", "KiB", KIB),
    "energy_pj": ("energy per inference", "µJ", 1e-6),
    "energy_low_pj": ("energy per inference, low", "µJ", 1e-6),
    "energy_high_pj": ("energy per inference, high", "µJ", 1e-6),
    "latency_cycles": ("latency", "cycles", 1.0),
    "latency_us": ("latency", "ms", 1e-3),
    "area_um2": ("area of the machine", "mm²", 1e-6),
    "area_low_um2": ("area of the machine, low", "mm²", 1e-6),
    "area_high_um2": ("area of the machine, high", "mm²", 1e-6),
    "leakage_uw": ("leakage", "µW", 1.0),
    "average_power_uw": ("average power", "µW", 1.0),
    "sram_bits": ("SRAM", "KiB", KIB),
    "hop_energy_pj": ("energy per hop", "µJ", 1e-6),
    "hop_energy_low_pj": ("energy per hop, low", "µJ", 1e-6),
    "hop_energy_high_pj": ("energy per hop, high", "µJ", 1e-6),
    "hop_latency_us": ("latency of a hop", "ms", 1e-3),
    "hop_activation_bits": ("activations of a hop", "KiB", KIB),
    "stream_state_bits": ("kept between hops", "KiB", KIB),
    "wait_us": ("wait for frames to come", "ms", 1e-3),
    "listening_power_uw": ("power while listening", "µW", 1.0),
}
"""Column -> name, unit, and factor from the column's own unit to this one.

The only place that says in which unit people read a quantity: terminal, report, pages and plots all
ask here. Keys and names of columns in files keep letters that every program reads: `energy_pj`.
"""

LETTERS = {"uJ": "µJ", "uW": "µW", "mm2": "mm²", "um2": "µm²"}
_TYPED = re.compile(rf"\b({'|'.join(LETTERS)})\b")


def significant(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, never as a power of ten above one: `12,300`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")  # first, so that 9.996 is 10.0 and not 10.00
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    if decimals > 6:
        return f"{rounded:.{digits - 1}e}"
    return f"{rounded:,.{max(decimals, 0)}f}"


def percent_text(percent: float, decimals: int = 1) -> str:
    """Percent without the sign: `61.9`; what is nearly nothing or nearly all is not called so.

    99.97 has two decimals, as `100.0` would say all of it; 0.04 likewise; and 0 is `0.0`.
    """
    for more in range(decimals, 9):
        text = f"{percent:,.{more}f}"
        if float(text.replace(",", "")) not in (0.0, 100.0) or abs(percent - float(text)) < 1e-9:
            break
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


def percent_words(share: float) -> str:
    """`19.6 %` of a share, such as an error, from 0 to 1: rounded by `percent_text`."""
    return f"{percent_text(100 * share)} %"


def signed(points: float) -> str:
    """A difference in percent points: `+1.2`, `-0.04`, and `0.0`, without a sign, of none only."""
    text = percent_text(points)
    return text if text == "0.0" or points < 0 else f"+{text}"


def share_words(share: float) -> str:
    """`62 %` of a share from 0 to 1; 99.7 % is not 100 %, and 0.3 % not 0 %."""
    return f"{percent_text(100 * share, 0)} %"


def ratio_text(ratio: float) -> str:
    """`2.2`, with more digits near 1 until it is not 1: `1.004`, as `1.0` times is no more."""
    for digits in range(2, 9):
        text = significant(ratio, digits)
        if float(text.replace(",", "")) != 1.0:
            return text
    return "1"


def typeset(text: str) -> str:
    """A text from a file with units as people write them: `20.8 nW/µm²` for `20.8 nW/um2`.

    Sources of constants, and what is wrong with a file, are typed with the letters of a keyboard.
    """
    return _TYPED.sub(lambda found: LETTERS[found[0]], text)


def axis_label(column: str) -> str:
    """`energy per inference (µJ)`: for values that went through `scaled`, not for raw columns."""
    name, unit, _ = LABELS[column]
    return f"{name} ({unit})" if unit else name


def scaled(value: float, column: str) -> float:
    """A value of a column in the unit of its label."""
    return value * LABELS[column][2]


def shown(value: float, column: str) -> str:
    """A value of a column in the unit of its label, rounded as reports round it.

    Counts are whole, with commas; percent have one decimal, all else three significant digits. The
    unit itself is not part of the text: it stands in the heading (`axis_label`).
    """
    number = scaled(value, column)
    unit = LABELS[column][1]
    if unit in ("", "cycles"):
        return f"{number:,.0f}"
    return percent_text(number) if unit == "%" else significant(number)
