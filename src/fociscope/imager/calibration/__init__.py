"""An imager from measurements: beads at known depths, or a known target.

stack = read_stack("beads.tif", depth_um=read_depths("depths.csv"))
calibration = calibrate_beads(stack)
calibration.imager.to_toml("imager.toml")
"""

from fociscope.imager.calibration.depths import read_depths
from fociscope.imager.calibration.family import Estimate
from fociscope.imager.calibration.from_beads import calibrate_beads
from fociscope.imager.calibration.from_target import calibrate_target
from fociscope.imager.calibration.result import Calibration, PlaneFit
from fociscope.imager.calibration.similarity import Similarity, fit_similarity, match_points
from fociscope.imager.calibration.simulated import simulated_stack
from fociscope.imager.calibration.stack import MeasuredStack, read_stack

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
