"""The only conversions between units; inside this package pJ, cycles, bits and MHz are used."""

KIBIBYTE_BITS = 8 * 1024


def cycles_to_us(cycles: float, clock_mhz: float) -> float:
    """Microseconds that `cycles` take: a clock of 1 MHz has one cycle a microsecond."""
    return cycles / clock_mhz


def pj_to_uj(energy_pj: float) -> float:
    """Microjoules, for people."""
    return energy_pj * 1e-6


def bits_to_kib(bits: float) -> float:
    """Kibibytes (1024 bytes), for people."""
    return bits / KIBIBYTE_BITS


def with_prefix(value: float, unit: str = "") -> str:
    """Three significant digits and an SI prefix: 5570944 -> '5.57 M', 1234 bit -> '1.23 kbit'.

    Args:
        value: 0 or more.
        unit: stands behind the prefix.
    """
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            return f"{_three_digits(value / factor)} {prefix}{unit}"
    text = f"{value:,d}" if isinstance(value, int) else _three_digits(value)
    return f"{text} {unit}".rstrip()


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"
