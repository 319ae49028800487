"""Make the pictures of docs/psf.md.

python docs/make_psf_pictures.py
"""

from pathlib import Path

import numpy as np

from fociscope.figures._psf import draw_psf
from fociscope.files import atomic_path
from fociscope.imager import (
    AngleSelectivePsf,
    AngularResponsePsf,
    GaussianPsf,
    Imager,
    MeasuredPsf,
    Psf,
    Tissue,
)

IMAGES = Path(__file__).parent / "images"
GRATING = AngleSelectivePsf()
#: A grating's transmission as a goniometer might give it, with a side lobe.
TABLE = ((0, 1), (6, 0.96), (12, 0.72), (18, 0.38), (24, 0.12), (30, 0.02), (38, 0.06), (48, 0))

#: A response in air that peaks at an angle.
RESPONSE = ((0, 0.48), (15, 0.55), (35, 1.0), (60, 0.62), (75, 0.24), (90, 0))


def measured(pitch_um: float) -> MeasuredPsf:
    """Return what a bead stack with noise gives: a grating's kernels at 50 um steps."""
    depth_um = np.arange(0.0, 1001.0, 50.0)
    stack = np.asarray(GRATING.kernel(depth_um, pitch_um, radius_px=20))
    noise = np.random.default_rng(7).normal(0, 2e-4 * stack.max(), stack.shape)
    return MeasuredPsf.from_stack(stack + noise, depth_um, pitch_um)


def main() -> None:
    """Write a picture of each kind."""
    imager = Imager.reference()
    kinds: dict[str, tuple[str, Psf]] = {
        "gaussian-grating": ("angle-selective, Gaussian transmission, half angle 18°", GRATING),
        "raised-cosine": (
            "angle-selective, raised-cosine transmission",
            GRATING.with_(shape="raised-cosine"),
        ),
        "tabulated": (
            "angle-selective, tabulated transmission with a side lobe at 38°",
            AngleSelectivePsf(shape="tabulated", table=TABLE),
        ),
        "leakage": ("angle-selective, leakage of 1 % at all angles", GRATING.with_(leakage=0.01)),
        "cover": (
            "angle-selective under a cover of 150 µm, refractive index 1.5",
            GRATING.with_(cover_um=150.0),
        ),
        "fill-factor": ("angle-selective, fill factor 0.4", GRATING.with_(fill_factor=0.4)),
        "tissue": (
            "angle-selective in tissue: attenuation 1 /mm, reduced scattering 0.3 /mm",
            GRATING.with_(tissue=Tissue(attenuation_per_mm=1, reduced_scattering_per_mm=0.3)),
        ),
        "angular-response": (
            "angular response, measured in air with a peak at 35°",
            AngularResponsePsf(table=RESPONSE),
        ),
        "gaussian": ("gaussian, spread 0.276, base blur 20 µm", GaussianPsf(base_blur_um=20.0)),
        "measured": (
            "measured: a noisy stack in steps of 50 µm, interpolated",
            measured(imager.pixel_pitch_um),
        ),
    }
    for name, (title, psf) in kinds.items():
        with atomic_path(IMAGES / f"psf-{name}.png", overwrite=True) as part:
            draw_psf(imager.with_(psf=psf), title=title).savefig(part)


if __name__ == "__main__":
    main()
