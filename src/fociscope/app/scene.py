"""A scene by sliders: layers at the depths asked for, and what the imager sees of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, SceneError
from fociscope.figures.reconstruction import Truth
from fociscope.imager import Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.simulation.exposure import Exposure
from fociscope.simulation.frame import DrawnFrame, project
from fociscope.simulation.tissue import PerlinFoci
from fociscope.typing import Float32Array

__all__ = ["MOST_LAYERS", "SceneSettings", "SimulatedScene", "simulate_scene"]

MOST_LAYERS = 6


class SceneSettings(Configuration):
    """What the sliders say."""

    error: ClassVar[type[FociscopeError]] = SceneError

    depth_um: tuple[Annotated[float, Field(ge=0, le=20_000)], ...] = (100.0, 360.0, 620.0, 880.0)
    """Of each layer, in any order; none deeper than the gap."""
    coverage: Annotated[float, Field(ge=0.01, le=0.8)] = 0.25
    """Share of each layer that is tumour."""
    half_angle_deg: Annotated[float, Field(ge=4, le=60)] = 18.0
    pixel_pitch_um: Annotated[float, Field(gt=0, le=1000)] = 55.0
    gap_um: Annotated[float, Field(gt=0, le=20_000)] = 1000.0
    peak_snr_db: Annotated[float, Field(gt=0, le=50)] = 40.0
    sensors: Annotated[int, Field(ge=1, le=2)] = 2
    seed: Annotated[int, Field(ge=0)] = 1
    """Of the specimen and of the noise."""

    @property
    def imager(self) -> Imager:
        """The instrument that the sliders describe."""
        return Imager.reference().with_(
            name="from the app",
            pixel_pitch_um=self.pixel_pitch_um,
            gap_um=self.gap_um,
            sensors=self.sensors,
            psf=AngleSelectivePsf(half_angle_deg=self.half_angle_deg),
        )


class SimulatedScene(NamedTuple):
    """A scene, of which everything is known."""

    captures: Float32Array
    """(sensor, y, x)."""
    truth: Truth
    imager: Imager


def simulate_scene(settings: SceneSettings) -> SimulatedScene:
    """Simulate the scene of a seed; moving a layer leaves the others' cells as they are.

    Raises:
        SceneError: the camera cannot reach such an SNR.
        ImagerError: no imager is like that.
    """
    imager = settings.imager
    depths = sorted(min(depth, imager.gap_um) for depth in settings.depth_um)
    depth_um = np.array(depths, dtype=np.float32)
    drawn = DrawnFrame.around(imager)
    specimen = PerlinFoci(coverage=(settings.coverage, settings.coverage))
    layers = [
        specimen.draw_scene(np.random.default_rng([settings.seed, layer]), 1, drawn)
        for layer in range(len(depth_um))
    ]
    light = np.concatenate([layer.light for layer in layers])
    mask = np.concatenate([layer.mask for layer in layers])
    exposure = Exposure(settings.peak_snr_db)
    exposure.check(imager)
    captures = exposure.expose(
        project(imager, light[None], depth_um[None], drawn=drawn)[0],
        imager,
        cells_per_unit_light=specimen.cells_per_unit_light(imager.square_pitch_um),
        seed=settings.seed,
    )
    return SimulatedScene(
        captures=captures.numpy(),
        truth=Truth(mask=mask[drawn.inside], depth_um=depth_um),
        imager=imager,
    )
