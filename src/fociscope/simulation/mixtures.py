"""Specimens of many kinds: one whose numbers vary, mixtures of kinds, and the broad mixture.

`AnyTissue` is what the last stage of the shipped recipes draws from, beside the default specimen.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, ValidationError, model_validator
from scipy.ndimage import gaussian_filter

from fociscope.configuration import Configuration, Range, plain_errors
from fociscope.simulation._illumination import Dust
from fociscope.simulation._kinds import AnySpecimen
from fociscope.simulation.base import DrawnLayers, ShareRange, Specimen
from fociscope.simulation.clouds import Clouds
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.patterns import CellularFoci, Sheets, SpectralFoci
from fociscope.simulation.structures import Nuclei
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells

__all__ = ["AnyTissue", "Mixture", "MixturePart", "Varied"]

#: The most that the light of a layer is spread sideways, in um.
LARGEST_SPREAD_UM = 10_000.0


def _with_haze(
    specimen: Specimen, rng: np.random.Generator, drawn: DrawnLayers, frame: DrawnFrame
) -> DrawnLayers:
    """Add a specimen's own autofluorescence, if it has any, to what its parts emit."""
    if specimen.autofluorescence[1] == 0:
        return drawn
    shape = (len(drawn.light), *frame.size_px)
    haze = specimen.draw_autofluorescence(rng, shape, frame.pixel_pitch_um)
    return drawn._replace(light=(drawn.light + haze).astype(np.float32))


def _joined(layers: list[DrawnLayers]) -> DrawnLayers:
    return DrawnLayers(
        np.concatenate([one.light for one in layers]), np.concatenate([one.mask for one in layers])
    )


def _is_spread(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] < 0 or bounds[1] > LARGEST_SPREAD_UM:
        raise ValueError(f"both numbers must lie within 0 ... {LARGEST_SPREAD_UM:g} µm")
    return bounds


def _is_numeric(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and all(_is_numeric(one) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


class Varied(Specimen):
    """A specimen some of whose numbers are drawn anew for each scene.

    A number is drawn evenly in its logarithm where the least value is above 0, else evenly. Of a
    field that holds a range, both ends take the drawn value.

    Attributes:
        specimen: Kind of specimen with the numbers that stay.
        vary: Least and greatest value of each field that varies.

    Examples:
        >>> from fociscope.simulation import PerlinFoci, Varied, simulate
        >>> specimen = Varied(specimen=PerlinFoci(), vary={"feature_um": (300, 3000)})
        >>> simulate(2, seed=0, specimen=specimen).layers.shape
        (2, 4, 51, 51)
    """

    kind: Literal["varied"] = "varied"
    specimen: AnySpecimen = PerlinFoci()
    vary: dict[str, Range] = Field(default_factory=dict)
    """Least and greatest value of each field that varies."""
    autofluorescence: ShareRange = (0.0, 0.0)
    """Added to that of the specimen."""

    emits_outside_mask: ClassVar[bool] = True

    @model_validator(mode="after")
    def _possible(self) -> Self:
        kind = type(self.specimen)
        for name in self.vary:
            if name not in kind.model_fields or not _is_numeric(getattr(self.specimen, name)):
                numeric = [n for n in kind.model_fields if _is_numeric(getattr(self.specimen, n))]
                raise ValueError(
                    f"vary: {name!r} is no number of the kind {self.specimen.kind!r}; "
                    f"choose from {', '.join(numeric)}"
                )
        for end in (0, 1):
            values = {name: bounds[end] for name, bounds in self.vary.items()}
            try:
                kind.model_validate({**self.specimen.model_dump(), **self._fields(values)})
            except ValidationError as error:
                raise ValueError(f"vary: {plain_errors(error)}") from None
        return self

    def drawn(self, rng: np.random.Generator) -> Specimen:
        """Draw the numbers.

        Args:
            rng: Source of all that is random.

        Returns:
            The specimen of one scene.
        """
        values = {}
        for name, (low, high) in self.vary.items():
            if low > 0:
                values[name] = math.exp(rng.uniform(math.log(low), math.log(high)))
            else:
                values[name] = rng.uniform(low, high)
        return self.specimen.model_copy(update=self._fields(values))

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw the numbers, and the layers."""
        return _with_haze(self, rng, self.drawn(rng).draw(rng, layers, frame), frame)

    def _fields(self, values: dict[str, float]) -> dict[str, Any]:
        """Return values as the fields hold them: as whole numbers, or as ranges."""
        fields: dict[str, Any] = {}
        for name, value in values.items():
            now = getattr(self.specimen, name)
            one = now[0] if isinstance(now, tuple) else now
            as_held = round(value) if isinstance(one, int) else float(value)
            fields[name] = (as_held, as_held) if isinstance(now, tuple) else as_held
        return fields


class MixturePart(Configuration):
    """A specimen of a mixture, and how often it is drawn.

    Examples:
        >>> from fociscope.simulation import MicroFoci, MixturePart
        >>> MixturePart(share=0.5, specimen=MicroFoci()).specimen.kind
        'micro-foci'
    """

    share: Annotated[float, Field(gt=0, le=1_000_000)]
    """How often it is drawn, in any unit."""
    specimen: AnySpecimen


class Mixture(Specimen):
    """A mixture of specimens: each scene shows one of them, or each layer, or a layer several.

    Excitation and dust are those of the mixture; those of its parts are not heeded.

    Attributes:
        parts: Specimens, and how often each is drawn.
        per_layer: Share of the scenes each of whose layers shows a specimen of its own.
        together: Share of the layers that show two specimens at once.
        soft: Share of the layers whose light is spread sideways, as that of thick or scattering
            tissue is.
        softness_um: Least and greatest standard deviation of that spread, a Gaussian, in um.

    Examples:
        >>> from fociscope.simulation import Mixture, MixturePart, PerlinFoci, SingleCells, simulate
        >>> parts = (
        ...     MixturePart(share=1, specimen=PerlinFoci()),
        ...     MixturePart(share=3, specimen=SingleCells()),
        ... )
        >>> simulate(2, seed=0, specimen=Mixture(parts=parts, per_layer=0.5)).layers.shape
        (2, 4, 51, 51)
    """

    kind: Literal["mixture"] = "mixture"
    parts: Annotated[tuple[MixturePart, ...], Field(min_length=1, max_length=100)] = (
        MixturePart(share=1.0, specimen=PerlinFoci()),
        MixturePart(share=1.0, specimen=SingleCells()),
    )
    per_layer: Annotated[float, Field(ge=0, le=1)] = 0.0
    together: Annotated[float, Field(ge=0, le=1)] = 0.0
    soft: Annotated[float, Field(ge=0, le=1)] = 0.0
    softness_um: Annotated[Range, AfterValidator(_is_spread)] = (10.0, 80.0)
    autofluorescence: ShareRange = (0.0, 0.0)
    """Added to that of the parts."""

    emits_outside_mask: ClassVar[bool] = True

    def draw(self, rng: np.random.Generator, layers: int, frame: DrawnFrame) -> DrawnLayers:
        """Draw which parts there are, and their layers."""
        if layers > 1 and rng.random() < self.per_layer:
            drawn = _joined([self._part(rng).draw(rng, 1, frame) for _ in range(layers)])
        else:
            drawn = self._part(rng).draw(rng, layers, frame)
        for layer in np.flatnonzero(rng.random(layers) < self.together):
            more = self._part(rng).draw(rng, 1, frame)
            drawn.light[layer] += more.light[0]
            drawn.mask[layer] |= more.mask[0]
        if self.soft > 0:
            for layer in np.flatnonzero(rng.random(layers) < self.soft):
                spread_px = rng.uniform(*self.softness_um) / frame.pixel_pitch_um
                drawn.light[layer] = gaussian_filter(drawn.light[layer], spread_px)
        return _with_haze(self, rng, drawn, frame)

    def _part(self, rng: np.random.Generator) -> Specimen:
        shares = np.array([part.share for part in self.parts])
        return self.parts[rng.choice(len(shares), p=shares / shares.sum())].specimen


def _part(share: float, specimen: Specimen, **vary: tuple[float, float]) -> MixturePart:
    """Return a part whose cells, brightness and autofluorescence vary, as does all of `vary`."""
    often = {
        "brightness_sigma": (0.1, 1.6),
        "cell_diameter_um": (5.0, 120.0),
        "autofluorescence": (0.01, 0.15),
        "autofluorescence_cv": (0.1, 0.6),
        "autofluorescence_feature_um": (55.0, 1500.0),
    }
    varied = Varied(specimen=specimen, vary={**often, **vary})
    return MixturePart(share=share, specimen=varied)


_ANY: tuple[float, float] = (0.0, 0.7)
_LITTLE: tuple[float, float] = (0.002, 0.2)
_DENSE: dict[str, tuple[float, float]] = {"cells_per_mm2": (60.0, 2500.0)}
#: Autofluorescence up to that of the cells.
_HAZE: tuple[float, float] = (0.05, 1.0)
_NOISE: dict[str, tuple[float, float]] = {
    "feature_um": (250.0, 4000.0),
    "octaves": (1.0, 6.0),
    "persistence": (0.3, 0.8),
}
_SPECTRUM: dict[str, tuple[float, float]] = {
    "exponent": (1.5, 6.0),
    "largest_um": (300.0, 4000.0),
}
_CELLS: dict[str, tuple[float, float]] = {
    "cell_diameter_um": (5.0, 40.0),
    "brightness_sigma": (0.1, 1.2),
}

ANY_TISSUE: tuple[MixturePart, ...] = (
    _part(8, PerlinFoci(coverage=_ANY), **_NOISE, **_DENSE),
    _part(5, PerlinFoci(coverage=_ANY), autofluorescence=_HAZE, **_NOISE, **_DENSE),
    _part(5, PerlinFoci(), coverage=_LITTLE, **_NOISE, **_DENSE),
    _part(8, SpectralFoci(coverage=_ANY), **_SPECTRUM, **_DENSE),
    _part(3, SpectralFoci(coverage=_ANY), autofluorescence=_HAZE, **_SPECTRUM, **_DENSE),
    _part(5, SpectralFoci(), coverage=_LITTLE, **_SPECTRUM, **_DENSE),
    _part(7, CellularFoci(coverage=_ANY), tile_um=(80.0, 1500.0), **_DENSE),
    _part(5, CellularFoci(), coverage=_LITTLE, tile_um=(60.0, 400.0), **_DENSE),
    _part(5, Sheets(), waviness=(0.02, 0.4), cells_per_mm2=(300.0, 3000.0)),
    _part(24, SingleCells(), cells_per_mm2=(0.1, 3.0), **_CELLS),
    _part(8, SingleCells(), cells_per_mm2=(2.0, 60.0), **_CELLS),
    _part(8, SingleCells(), cells_per_mm2=(0.1, 30.0), autofluorescence=_HAZE, **_CELLS),
    _part(
        10,
        SingleCells(process="clustered"),
        cells_per_mm2=(0.5, 30.0),
        group_cells=(2.0, 40.0),
        group_um=(15.0, 300.0),
        **_CELLS,
    ),
    _part(2, SingleCells(process="repulsive"), cells_per_mm2=(3.0, 60.0), **_CELLS),
    _part(
        14,
        MicroFoci(cells_per_focus=(2, 20)),
        foci_per_mm2=(0.1, 2.0),
        focus_radius_um=(10.0, 120.0),
        **_CELLS,
    ),
    _part(
        5,
        Nuclei(),
        cell_diameter_um=(40.0, 300.0),
        nuclei_per_mm2=(1.0, 30.0),
        irregularity=(0.05, 0.5),
        brightness_sigma=(0.1, 0.8),
    ),
    _part(
        12,
        Nuclei(),
        cell_diameter_um=(100.0, 300.0),
        nuclei_per_mm2=(5.0, 60.0),
        irregularity=(0.05, 0.5),
        brightness_sigma=(0.05, 0.5),
        autofluorescence=(0.02, 0.5),
    ),
    MixturePart(
        share=8,
        specimen=Varied(
            specimen=Clouds(),
            vary={
                "contrast": (0.2, 1.2),
                "feature_um": (400.0, 4000.0),
                "exponent": (3.0, 8.0),
            },
        ),
    ),
    MixturePart(share=2, specimen=PerlinFoci(coverage=(0.0, 0.0))),
    MixturePart(share=2, specimen=PerlinFoci(coverage=(1.0, 1.0))),
)
"""Parts of `AnyTissue`."""


class AnyTissue(Mixture):
    """The broad mixture: foci of several kinds of noise, sheets, cells, nuclei, clouds, dust.

    Their sizes, densities, brightness and autofluorescence vary over wide ranges. Strands,
    networks, glands, dead leaves and the targets are not in it: they are for tests alone.

    Attributes:
        parts: Specimens, and how often each is drawn.
        per_layer: Share of the scenes each of whose layers shows a specimen of its own.
        together: Share of the layers that show two specimens at once.
        soft: Share of the layers whose light is spread sideways.
        softness_um: Least and greatest standard deviation of that spread in um.

    Examples:
        >>> from fociscope.simulation import AnyTissue, simulate
        >>> simulate(2, seed=0, specimen=AnyTissue()).layers.shape
        (2, 4, 51, 51)
    """

    kind: Literal["any-tissue"] = "any-tissue"  # type: ignore[assignment]
    parts: Annotated[tuple[MixturePart, ...], Field(min_length=1, max_length=100)] = ANY_TISSUE
    per_layer: Annotated[float, Field(ge=0, le=1)] = 0.15
    together: Annotated[float, Field(ge=0, le=1)] = 0.08
    soft: Annotated[float, Field(ge=0, le=1)] = 0.3
    illumination_variation: ShareRange = (0.0, 0.4)
    dust: Dust | None = Dust(specks_per_mm2=0.1)
