"""Adapt a model to a chip and a tissue by captures alone: nobody knows what is in them.

    python examples/adapt_without_truth.py [FOLDER]

Takes 140 s on one core, with 20 steps of training in place of the usual 600. The captures are
simulated: a chip of 14 degrees that is believed to have 18, and glands, which no model was trained
on.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import fociscope
from fociscope.series import ReconstructionOptions
from fociscope.simulation import Glands

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

believed = fociscope.Imager.reference()
real = believed.with_(psf=believed.psf.with_(half_angle_deg=14.0))
captures = fociscope.simulate(60, seed=5, imager=real, specimen=Glands()).captures
np.save(folder / "captures.npy", captures)

options = ReconstructionOptions(model="layers-ab", imager=believed, device="cpu")
adapted = fociscope.adapt(folder / "captures.npy", folder / "run", options, steps=20)

print(f"half angle found: {adapted.imager.psf.half_angle_deg:.1f} degrees, believed 18, really 14")
for name, scores in adapted.scores.items():
    print(
        f"{name}: on matched tissue {100 * scores.mean_accuracy:.1f} % of pixels right, depth "
        f"error {scores.mean_depth_error_um:.0f} um; {100 * scores.median_residual:.2f} % of the "
        "captures unexplained"
    )
(folder / "run" / "figure.png").replace(folder / "adaptation.png")
