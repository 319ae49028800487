"""Units of length in files' metadata: every spelling that is read, in one table."""

from __future__ import annotations

import math

__all__ = ["um_per_unit"]

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
