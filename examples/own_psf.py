"""A PSF kind of your own: a Moffat profile, whose wings are stronger than a Gaussian's.

    python examples/own_psf.py [FOLDER]

Takes 6 s on one core. Once registered, the name works in imager files, and the kind in projections,
simulation, calibration and figures. docs/extending-psf.md explains each method.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

import fociscope
from fociscope.calibration import calibrate_beads, simulated_stack
from fociscope.figures import draw_psf
from fociscope.imager import PSF_KINDS, FitParameter, Imager, Psf, radial_pixel_response

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

BETA = 4.0  # wings: irradiance falls as r^(-2 beta)


class MoffatPsf(Psf):
    """Irradiance proportional to (1 + r^2 / (slope z)^2)^-BETA."""

    kind: Literal["moffat"] = "moffat"
    slope: Annotated[float, Field(gt=0, le=3)] = 0.4
    collected_fraction: Annotated[float, Field(gt=0, le=1)] = 0.035
    fit_parameters: ClassVar[tuple[FitParameter, ...]] = (
        FitParameter("slope", 0.02, 3.0, 3e-4, "um/um"),
    )

    def bare_collection_efficiency(self, distance_um: torch.Tensor) -> torch.Tensor:
        return torch.full_like(distance_um, self.collected_fraction)

    def bare_encircled_radius_um(self, distance_um: float, energy: float) -> float:
        return self.slope * distance_um * ((1 - energy) ** (1 / (1 - BETA)) - 1) ** 0.5

    def bare_variance_um2(self, distance_um: float, energy: float) -> float:
        scale2 = (self.slope * distance_um) ** 2
        edge = (1 - energy) ** (1 / (1 - BETA))  # 1 + (radius / scale)^2
        inner = (1 - edge ** (2 - BETA)) / (BETA - 2) - (edge - 1) * (1 - energy)
        return scale2 * inner / (2 * energy)

    def pixel_response(self, distance_um, *, pixel_pitch_um, radius_px, offset_um=None, **_):
        scale2 = (self.slope * distance_um).clamp(min=1e-3)[..., None, None, None] ** 2

        def outer_energy(r2_um2):
            return self.collected_fraction * (1 + r2_um2.to(scale2) / scale2) ** (1 - BETA)

        return radial_pixel_response(
            outer_energy,
            self.bare_collection_efficiency(distance_um),
            pixel_pitch_um=pixel_pitch_um,
            radius_px=radius_px,
            offset_um=offset_um,
        )


PSF_KINDS.register("moffat", MoffatPsf)

imager = Imager.reference().with_(sensors=1, psf=MoffatPsf(slope=0.3))
imager.to_toml(folder / "moffat.toml", overwrite=True)
assert Imager.from_toml(folder / "moffat.toml") == imager

scenes = fociscope.simulate(1, seed=0, imager=imager)
print("captures of the imager with a Moffat PSF:", scenes.captures.shape)
draw_psf(imager, title="Moffat, slope 0.3").savefig(folder / "psf.png")

stack = simulated_stack(imager, [(10.0, -15.0)], [100.0, 300.0, 600.0], seed=2)
found = calibrate_beads(stack, imager=imager.with_(psf=MoffatPsf()), model="moffat")
slope = found.estimates["slope"]
print(f"slope by beads: {slope.value:.4f} ± {slope.std:.4f}, of a chip of 0.3")
