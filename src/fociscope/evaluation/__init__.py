"""The judge: metrics, and reference scenes."""

from fociscope.evaluation.metrics import MaskScores, expected_calibration_error, mask_scores

__all__ = ["MaskScores", "expected_calibration_error", "mask_scores"]
