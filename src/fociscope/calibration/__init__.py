"""An imager from measurements: beads at known depths, a known target, or captures alone.

    calibration = calibrate("beads.tif", "imager.toml", depth_um="depths.csv")

does the whole of it. Step by step, with arrays in place of files:

    stack = read_stack("beads.tif", depth_um=read_depths("depths.csv"))
    calibration = calibrate_beads(stack)
    calibration.imager.to_toml("imager.toml")
"""

from fociscope.calibration._capture_files import BlindDrawing, calibrate_from_captures
from fociscope.calibration._displacement import (
    Displacement,
    displacement_of_files,
    measure_displacement,
    on_the_layers,
)
from fociscope.calibration._from_beads import calibrate_beads
from fociscope.calibration._from_captures import BlindCalibration, calibrate_captures
from fociscope.calibration._from_files import (
    Drawing,
    calibrate,
    check_output,
    save_calibration,
)
from fociscope.calibration._from_sweeps import (
    SweepCalibration,
    SweepResult,
    calibrate_sweeps,
)
from fociscope.calibration._from_target import calibrate_target
from fociscope.calibration._psf_fit import Estimate
from fociscope.calibration._result import Calibration, PlaneFit
from fociscope.calibration._simulated import simulated_stack, simulated_sweep
from fociscope.calibration._stage import BeadMotion, StageSweep, read_sweeps
from fociscope.calibration._stage_files import SweepDrawing, calibrate_stage
from fociscope.files.captures.calibration_stack import MeasuredStack, read_depths, read_stack
from fociscope.imager.registration import Similarity, fit_similarity, match_points

__all__ = [
    "BeadMotion",
    "BlindCalibration",
    "BlindDrawing",
    "Calibration",
    "Displacement",
    "Drawing",
    "Estimate",
    "MeasuredStack",
    "PlaneFit",
    "Similarity",
    "StageSweep",
    "SweepCalibration",
    "SweepDrawing",
    "SweepResult",
    "calibrate",
    "calibrate_beads",
    "calibrate_captures",
    "calibrate_from_captures",
    "calibrate_stage",
    "calibrate_sweeps",
    "calibrate_target",
    "check_output",
    "displacement_of_files",
    "fit_similarity",
    "match_points",
    "measure_displacement",
    "on_the_layers",
    "read_depths",
    "read_stack",
    "read_sweeps",
    "save_calibration",
    "simulated_stack",
    "simulated_sweep",
]
