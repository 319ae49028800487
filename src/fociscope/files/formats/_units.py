"""Units of length and time in files' metadata: every spelling that is read, in one table."""

from __future__ import annotations

import math

__all__ = ["seconds_per_unit", "um_per_unit"]

_SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "ms": 1e-3, "millisecond": 1e-3, "milliseconds": 1e-3,
    "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "microsecond": 1e-6,
    "ns": 1e-9, "nanosecond": 1e-9,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hour": 3600.0,
}  # fmt: skip

_SPELLINGS = {
    1e-3: ("nm", "nanometer", "nanometre", "nanometers", "nanometres"),
    1.0: (
        "um",
        "\u00b5m",  # micro sign, as OME has it
        "\u03bcm",  # Greek mu
        "\\u00b5m",  # six letters, as ImageJ writes the micro sign
        "micron",
        "microns",
        "micrometer",
        "micrometre",
        "micrometers",
        "micrometres",
    ),
    1e3: ("mm", "millimeter", "millimetre", "millimeters", "millimetres"),
    1e4: ("cm", "centimeter", "centimetre", "centimeters", "centimetres"),
    1e6: ("m", "meter", "metre", "meters", "metres"),
    1e12: ("Mm",),  # OME's megametre, which lower-case letters would make a millimetre
}
_UM_PER_UNIT = {name: um for um, names in _SPELLINGS.items() for name in names}


def seconds_per_unit(unit: object) -> float:
    """Return how many seconds one unit of time is; NaN if the unit is unknown or no text.

    Args:
        unit: Name as a file has it, such as "ms" or "second".
    """
    name = unit.strip() if isinstance(unit, str) else ""
    return _SECONDS.get(name, _SECONDS.get(name.lower(), math.nan))


def um_per_unit(unit: object) -> float:
    """Return how many micrometres one unit of length is.

    Args:
        unit: Name as a file has it, such as "µm", "um", "micron" or "Millimeter".

    Returns:
        Micrometres in one unit; NaN if the unit is unknown or no text.

    Examples:
        >>> from fociscope.files.formats._units import um_per_unit
        >>> um_per_unit("mm"), um_per_unit("inch")
        (1000.0, nan)
    """
    name = unit.strip() if isinstance(unit, str) else ""
    return _UM_PER_UNIT.get(name, _UM_PER_UNIT.get(name.lower(), math.nan))
