"""How good a map is: each score beside that of the constant baseline."""

from fociscope.evaluation.metrics._calibration import (
    BrierScore,
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    reliability_curve,
)
from fociscope.evaluation.metrics._depth import (
    DepthScores,
    LayerMatch,
    depth_scores,
    depth_z_scores,
    match_depths,
)
from fociscope.evaluation.metrics._detection import (
    FociDetection,
    SizeSensitivity,
    detect_foci,
    foci_stated_and_there,
)
from fociscope.evaluation.metrics._froc import FocusCandidates, focus_candidates
from fociscope.evaluation.metrics._images import (
    best_gain,
    even_image_error,
    peak_snr_db,
    relative_squared_error,
    self_check_residual,
)
from fociscope.evaluation.metrics._masks import MaskCounts, MaskScores, mask_counts, mask_scores

__all__ = [
    "BrierScore",
    "DepthScores",
    "FociDetection",
    "FocusCandidates",
    "LayerMatch",
    "MaskCounts",
    "MaskScores",
    "ReliabilityCurve",
    "SizeSensitivity",
    "best_gain",
    "brier_score",
    "depth_scores",
    "depth_z_scores",
    "detect_foci",
    "even_image_error",
    "expected_calibration_error",
    "foci_stated_and_there",
    "focus_candidates",
    "mask_counts",
    "mask_scores",
    "match_depths",
    "peak_snr_db",
    "relative_squared_error",
    "reliability_curve",
    "self_check_residual",
]
