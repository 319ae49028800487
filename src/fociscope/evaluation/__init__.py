"""The evaluation suite: metrics, intervals, limits of what can be known, reference scenes."""

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
