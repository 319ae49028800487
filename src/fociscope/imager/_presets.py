"""Imagers by name: what differs from the reference imager, and where the numbers come from."""

from __future__ import annotations

from typing import Any

__all__ = ["PRESETS"]

#: Counts of a collimated beam against its angle of incidence in air, the sides of 0 degrees
#: averaged, smoothed with weights 1, 10, 1 and divided by the largest. Measured by the authors of
#: the repository `klshepard/acus` (Columbia University; licence CC0 1.0).
_ACUS_RESPONSE = (
    (0.0, 0.52), (5.0, 0.54), (10.0, 0.57), (15.0, 0.59), (20.0, 0.57), (25.0, 0.59),
    (30.0, 0.77), (35.0, 1.0), (40.0, 1.0), (45.0, 0.94), (50.0, 0.82), (55.0, 0.7),
    (60.0, 0.65), (65.0, 0.55), (70.0, 0.38), (75.0, 0.26), (80.0, 0.15), (85.0, 0.06),
    (90.0, 0.0),
)  # fmt: skip

PRESETS: dict[str, dict[str, Any]] = {
    "reference": {},
    "published": {
        # sigma = 0.18 z of the published sample figure is tan(12 degrees) / sqrt(2 ln 2).
        "name": "published",
        "psf": {"half_angle_deg": 12.0, "half_angle_medium": "tissue"},
    },
    "sibling-36x80": {
        # 36 x 80 pixels on 2.3 x 4.8 mm: Najafiaghdam et al., IEEE TBioCAS 2022, PMC9199368. Its
        # grating is not published: that of the reference is assumed.
        "name": "sibling-36x80",
        "pixel_pitch_um": (2300.0 / 36, 4800.0 / 80),
        "frame_px": (36, 80),
        "sensors": 1,
        "psf": {"half_angle_medium": "tissue"},
    },
    "acus": {
        # Two rows of 128 single-photon diodes of some 170 um^2 behind gratings: `klshepard/acus`,
        # CC0 1.0. Its captures of beads fit with the response as it is in air. A count is a photon;
        # the share of photons that is counted, and the diodes' sides, are assumptions. Errors of
        # the response and of single pixels are those of residuals (`benchmarks/real_chip.md`).
        "name": "acus",
        "pixel_pitch_um": (73.22, 25.67),
        "frame_px": (2, 128),
        "sensitive_um": (13.0, 13.0),
        "sensors": 1,
        "gap_um": 1000.0,
        "psf": {
            "kind": "angular-response",
            "table": _ACUS_RESPONSE,
            "table_medium": "air",
            "tissue_index": "air",
            "table_error": 0.2,
        },
        "camera": {
            "prnu": 0.06,
            "quantum_efficiency": 0.1,
            "dark_current_e_per_s": 0.0,
            "read_noise_e": 0.0,
            "full_well_e": 65_535.0,
            "gain_e_per_count": 1.0,
            "black_level_counts": 0.0,
        },
    },
}
"""Fields that differ from the defaults, by the name of a preset."""
