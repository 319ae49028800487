"""The photon budget: from a cell's brightness to its brightest pixel's signal and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fociscope.errors import ImagerError

if TYPE_CHECKING:
    from fociscope.imager.geometry import Imager

__all__ = ["PhotonBudget", "SensorBudget", "photon_budget"]

#: Share of the collected light within the kernel's reach, where the frame does not end before.
BUDGET_ENERGY = 0.9999


@dataclass(frozen=True)
class SensorBudget:
    """The light of a cell that one sensor receives in one exposure, and its noise.

    Every noise is a standard deviation, in electrons, of the brightest pixel; they are independent,
    so their squares add up to that of `noise_e`.

    Examples:
        >>> from fociscope.imager import Imager, photon_budget
        >>> sensor_a, sensor_b = photon_budget(
        ...     Imager.reference(), cell_photons_per_s=1e7, depth_um=200.0
        ... ).sensors
        >>> sensor_a.snr_db > sensor_b.snr_db
        True
    """

    name: str
    """`A` on top of the tissue, `B` underneath."""
    distance_um: float
    """From the cell to this sensor."""
    landing_share: float
    """Share of the emitted light that lands on the frame, the cell above its middle pixel."""
    brightest_share: float
    """Share of the emitted light that lands on the brightest pixel."""
    landing_photons: float
    brightest_photons: float
    brightest_e: float
    """Mean electrons of light in the brightest pixel, as if its well had no limit."""
    shot_noise_e: float
    dark_noise_e: float
    """Shot noise of the dark current."""
    read_noise_e: float
    """Of all reads: of two with correlated double sampling."""
    reset_noise_e: float
    rounding_noise_e: float
    noise_e: float
    """All the noise from exposure to exposure."""
    fixed_pattern_e: float
    """Spread among the pixels of a chip nobody calibrated, by PRNU and DSNU; no part of the SNR."""
    saturated: bool
    """The brightest pixel's mean fills its well or the converter."""

    @property
    def snr(self) -> float:
        """Signal over temporal noise of the brightest pixel; without meaning where saturated."""
        return self.brightest_e / self.noise_e

    @property
    def snr_db(self) -> float:
        """20 log10 of the SNR, as peak SNR is defined."""
        return 20 * math.log10(self.snr)


@dataclass(frozen=True)
class PhotonBudget:
    """The light of one cell in one exposure, on each sensor; `str` returns it as a table.

    Examples:
        >>> from fociscope.imager import Imager, photon_budget
        >>> budget = photon_budget(Imager.reference(), cell_photons_per_s=1e7, depth_um=200.0)
        >>> print(str(budget).splitlines()[0])
        A cell of 1e+07 photons/s at a depth of 200 µm, exposed for 0.05 s: 5e+05 photons
    """

    cell_photons_per_s: float
    depth_um: float
    """From sensor A."""
    exposure_s: float
    emitted_photons: float
    """Per exposure, in all directions."""
    sensors: tuple[SensorBudget, ...]

    def __str__(self) -> str:
        """Return a table: a row for each quantity, a column for each sensor."""

        def row(label: str, cells: list[str]) -> str:
            return f"{label:<32}" + "".join(f"{cell:>12}" for cell in cells)

        rows = {
            "distance, um": [f"{s.distance_um:.0f}" for s in self.sensors],
            "share on the sensor, %": [f"{100 * s.landing_share:.3g}" for s in self.sensors],
            "share in the brightest pixel, %": [
                f"{100 * s.brightest_share:.3g}" for s in self.sensors
            ],
            "photons on the sensor": [f"{s.landing_photons:.4g}" for s in self.sensors],
            "photons in the brightest pixel": [f"{s.brightest_photons:.4g}" for s in self.sensors],
            "signal, e": [f"{s.brightest_e:.4g}" for s in self.sensors],
            "shot noise, e": [f"{s.shot_noise_e:.3g}" for s in self.sensors],
            "dark shot noise, e": [f"{s.dark_noise_e:.3g}" for s in self.sensors],
            "read noise, e": [f"{s.read_noise_e:.3g}" for s in self.sensors],
            "reset noise, e": [f"{s.reset_noise_e:.3g}" for s in self.sensors],
            "rounding noise, e": [f"{s.rounding_noise_e:.3g}" for s in self.sensors],
            "noise, e": [f"{s.noise_e:.3g}" for s in self.sensors],
            "fixed pattern, uncorrected, e": [f"{s.fixed_pattern_e:.3g}" for s in self.sensors],
            "SNR": [f"{s.snr:.3g}" for s in self.sensors],
            "SNR, dB": [f"{s.snr_db:.1f}" for s in self.sensors],
            "saturated": ["yes" if s.saturated else "no" for s in self.sensors],
        }
        head = (
            f"A cell of {self.cell_photons_per_s:g} photons/s at a depth of {self.depth_um:g} µm, "
            f"exposed for {self.exposure_s:g} s: {self.emitted_photons:.4g} photons"
        )
        names = row("", [f"sensor {s.name}" for s in self.sensors])
        return "\n".join([head, names, *(row(label, cells) for label, cells in rows.items())])


def photon_budget(imager: Imager, *, cell_photons_per_s: float, depth_um: float) -> PhotonBudget:
    """Estimate the light of a cell on each sensor, and the signal and noise of its brightest pixel.

    The cell is a point in clear tissue above the middle of the middle pixel, alone: neither other
    cells nor autofluorescence add to the signal and to its shot noise.

    Args:
        imager: Imager with its camera.
        cell_photons_per_s: Photons per second that the cell emits in all directions, in the band
            that the camera sees.
        depth_um: Distance of the cell from sensor A; sensor B is `gap_um` minus this away.

    Returns:
        The budget of each sensor.

    Raises:
        ImagerError: If the brightness is not a finite number above 0, or the depth lies outside the
            gap.

    Examples:
        >>> from fociscope.imager import Imager, photon_budget
        >>> budget = photon_budget(Imager.reference(), cell_photons_per_s=1e7, depth_um=200.0)
        >>> round(budget.sensors[0].landing_share, 3)
        0.035
    """
    if not 0 < cell_photons_per_s < math.inf:
        raise ImagerError(
            f"a cell emits a finite number of photons/s above 0; got {cell_photons_per_s:g}"
        )
    if not 0 <= depth_um <= imager.gap_um:
        raise ImagerError(
            f"the cell lies between the sensors, from 0 to {imager.gap_um:g} µm deep; "
            f"got {depth_um:g} µm"
        )
    emitted = cell_photons_per_s * imager.camera.exposure_s
    distances_um = (depth_um, imager.gap_um - depth_um)[: imager.sensors]
    return PhotonBudget(
        cell_photons_per_s=float(cell_photons_per_s),
        depth_um=float(depth_um),
        exposure_s=imager.camera.exposure_s,
        emitted_photons=emitted,
        sensors=tuple(
            _sensor_budget(imager, name, float(distance_um), emitted)
            for name, distance_um in zip("AB", distances_um, strict=False)
        ),
    )


def _sensor_budget(imager: Imager, name: str, distance_um: float, emitted: float) -> SensorBudget:
    camera = imager.camera
    brightest_share, landing_share = _shares(imager, distance_um)
    photons = emitted * brightest_share
    signal_e = photons * camera.quantum_efficiency
    cds = camera.correlated_double_sampling
    return SensorBudget(
        name=name,
        distance_um=distance_um,
        landing_share=landing_share,
        brightest_share=brightest_share,
        landing_photons=emitted * landing_share,
        brightest_photons=photons,
        brightest_e=signal_e,
        shot_noise_e=math.sqrt(signal_e),
        dark_noise_e=math.sqrt(camera.dark_e),
        read_noise_e=camera.read_noise_e * (math.sqrt(2) if cds else 1),
        reset_noise_e=0.0 if cds else camera.reset_noise_e,
        rounding_noise_e=camera.gain_e_per_count / math.sqrt(12),
        noise_e=math.sqrt(signal_e + camera.floor_variance_e2),
        fixed_pattern_e=math.hypot(camera.prnu * signal_e, 0.0 if cds else camera.dsnu_e),
        saturated=signal_e >= camera.light_room_e,
    )


def _shares(imager: Imager, distance_um: float) -> tuple[float, float]:
    """Return what the brightest pixel and the frame collect of a cell above the middle pixel."""
    if not imager.has_plain_pixels:
        middle = tuple(side // 2 for side in imager.frame_px)
        place = torch.from_numpy(imager.pixel_centres_um()[middle]).flip(0)
        emitter = torch.cat([place, place.new_tensor([distance_um])])[None]
        alone = imager.with_(sensors=1, sensor_gains=(1.0, 1.0), dead_pixels=())
        seen = torch.as_tensor(alone.pixel_response(emitter))
        return float(seen.max()), float(seen.sum())
    pitch_um = imager.square_pitch_um
    reach_px = imager.psf.encircled_radius_um(distance_um, BUDGET_ENERGY) / pitch_um
    kernel = torch.as_tensor(
        imager.psf.kernel(
            torch.tensor(distance_um, dtype=torch.float64),
            pitch_um,
            radius_px=min(math.ceil(reach_px + 0.5), max(imager.frame_px) // 2),
        )
    )
    return float(kernel.max()), float(_within_frame(kernel, imager.frame_px).sum())


def _within_frame(kernel: Tensor, frame_px: tuple[int, int]) -> Tensor:
    """Return the part of a kernel (k, k) on the frame, its middle on the frame's middle pixel."""
    middle = kernel.shape[-1] // 2
    rows, columns = (
        slice(max(middle - side // 2, 0), middle - side // 2 + side) for side in frame_px
    )
    return kernel[rows, columns]
