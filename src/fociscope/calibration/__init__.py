"""An imager from measurements: beads at known depths, or a known target.

stack = read_stack("beads.tif", depth_um=read_depths("depths.csv"))
calibration = calibrate_beads(stack)
calibration.imager.to_toml("imager.toml")
"""

from fociscope.calibration.from_beads import calibrate_beads
from fociscope.calibration.from_target import calibrate_target
from fociscope.calibration.psf_fit import Estimate
from fociscope.calibration.result import Calibration, PlaneFit
from fociscope.calibration.simulated import simulated_stack
from fociscope.files.captures.calibration_stack import MeasuredStack, read_depths, read_stack
from fociscope.imager.registration import Similarity, fit_similarity, match_points

__all__ = [
    "Calibration",
    "Estimate",
    "MeasuredStack",
    "PlaneFit",
    "Similarity",
    "calibrate_beads",
    "calibrate_target",
    "fit_similarity",
    "match_points",
    "read_depths",
    "read_stack",
    "simulated_stack",
]
