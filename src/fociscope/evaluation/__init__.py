"""The judge: metrics, their intervals, the limits of what can be known, and reference scenes."""

from fociscope.evaluation.bootstrap import Interval, bootstrap_mean, bootstrap_of_means
from fociscope.evaluation.metrics import MaskScores, expected_calibration_error, mask_scores

__all__ = [
    "Interval",
    "MaskScores",
    "bootstrap_mean",
    "bootstrap_of_means",
    "expected_calibration_error",
    "mask_scores",
]
