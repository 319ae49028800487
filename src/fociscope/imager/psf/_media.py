"""Media that light comes from and that angles are measured in, by name or refractive index."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

__all__ = ["MEDIA", "Index", "Medium", "NamedIndex", "refractive_index"]

#: Refractive indices in the visible. Tissue: within the 1.35 to 1.45 of Jacques, Phys. Med. Biol.
#: 58:R37 (2013); brain and soft tissue lie near 1.37.
MEDIA = {"air": 1.0, "water": 1.33, "tissue": 1.37}

Index = Annotated[float, Field(ge=1, le=4)]
Medium: TypeAlias = Literal["air", "water", "tissue"] | Index
"""Name of a medium in `MEDIA`, or a refractive index."""


def refractive_index(medium: str | float) -> float:
    """Return the refractive index of a medium in `MEDIA`, or of one that is a number already."""
    return MEDIA[medium] if isinstance(medium, str) else medium


def _index(value: object) -> object:
    return MEDIA.get(value, value) if isinstance(value, str) else value


NamedIndex = Annotated[Index, BeforeValidator(_index)]
"""A refractive index; the name of a medium in `MEDIA` stands for its own."""
