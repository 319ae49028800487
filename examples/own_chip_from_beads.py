"""An imager of your own from a stack of beads at known depths, in a file that all commands read.

The stack is simulated here. In place of it, `fociscope.calibration.read_stack("beads.tif",
depth_um=...)` reads a measured one.
"""

import fociscope
from fociscope.calibration import calibrate_beads, simulated_stack
from fociscope.imager import AngleSelectivePsf, Imager

chip = Imager.reference().with_(sensors=1, psf=AngleSelectivePsf(half_angle_deg=15.0))
stack = simulated_stack(chip, points_um=[(0.0, 0.0)], depth_um=[100.0, 300.0, 600.0], seed=1)

calibration = calibrate_beads(stack, imager=Imager.reference().with_(sensors=1))

for name, estimate in calibration.estimates.items():
    print(f"{name}: {estimate.value:.3g} ± {estimate.std:.2g} {estimate.unit}")
print(f"reduced chi square: {calibration.reduced_chi_square:.2f} (1 where the model fits)")
calibration.imager.to_toml("my-chip.toml", overwrite=True)

model = fociscope.load_model("layers-a", imager=Imager.from_toml("my-chip.toml"))
print("a model for it:", model.info.name)
