"""A chip of your own: its optics from a stack of beads at known depths, in one file.

    python examples/own_chip_from_beads.py [FOLDER] [BEADS.tif]

Takes 10 s on one core. The stack is simulated; BEADS.tif, of two channels and one plane at each of
DEPTHS_UM, is read in its place.
"""

import sys
import tempfile
from pathlib import Path

import fociscope
from fociscope.calibration import calibrate_beads, read_stack, simulated_stack
from fociscope.figures import draw_calibration
from fociscope.imager import AngleSelectivePsf, Imager

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

DEPTHS_UM = [100.0, 300.0, 600.0, 900.0]
known = Imager(pixel_pitch_um=55, gap_um=1000, sensors=2)  # what a data sheet says

if len(sys.argv) > 2:
    stack = read_stack(sys.argv[2], depth_um=DEPTHS_UM)
else:  # the truth, which the fit is not told
    chip = known.with_(
        psf=AngleSelectivePsf(half_angle_deg=15, base_blur_um=12),
        registration={"shift_um": (38.0, -61.0)},
        sensor_gains=(1.0, 0.85),
    )
    stack = simulated_stack(chip, [(-600.0, -560.0), (590.0, 640.0)], DEPTHS_UM, seed=1)

calibration = calibrate_beads(stack, imager=known)

for name, estimate in calibration.estimates.items():
    print(f"{name}: {estimate.value:.4g} ± {estimate.std:.2g} {estimate.unit}")
print(f"reduced chi square: {calibration.reduced_chi_square:.2f} (1 where the model fits)")
draw_calibration(calibration, "two beads").savefig(folder / "beads.png")
calibration.imager.to_toml(folder / "my-chip.toml", overwrite=True)

mine = Imager.from_toml(folder / "my-chip.toml")
scenes = fociscope.simulate(1, seed=4, imager=mine)  # in their place: captures of your chip
result = fociscope.load_model("layers-ab", imager=mine).reconstruct(scenes.captures[0])
print("depths, true:", [f"{depth:.0f}" for depth in scenes.depth_um[0]], "um")
print("depths, found:", [f"{depth:.0f}" for depth in result.depth_um], "um")
