"""The evaluation suite: metrics, intervals, limits of what can be known, reference scenes.

    suite = selected(find_suite("quick"), "reference")
    done = evaluate_suite(suite, find_methods("layers-ab", "constant,tikhonov"))
    done.results.conditions[0].scored("layers-ab").accuracy

Metrics and intervals come at once; suites and methods, which load networks, when they are used.
"""

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names
from fociscope.evaluation.bootstrap import (
    Interval,
    bootstrap_mean,
    bootstrap_of_means,
    rate_interval,
    share_interval,
)
from fociscope.evaluation.metrics import (
    MaskScores,
    brier_score,
    depth_scores,
    detect_foci,
    expected_calibration_error,
    mask_scores,
    match_depths,
    relative_squared_error,
    reliability_curve,
)
from fociscope.networks.volume_matching import (
    VolumeMatch,
    masks_within,
    match_volume_foci,
    true_volume_foci,
)

if TYPE_CHECKING:
    from fociscope.evaluation._scores import ScoreAccumulator as ScoreAccumulator
    from fociscope.evaluation.batches import Batch as Batch
    from fociscope.evaluation.batches import Prediction as Prediction
    from fociscope.evaluation.batches import ReconstructionTask as ReconstructionTask
    from fociscope.evaluation.data_sets import DataSet as DataSet
    from fociscope.evaluation.limits import depth_resolution_um as depth_resolution_um
    from fociscope.evaluation.methods import ReconstructionMethod as ReconstructionMethod
    from fociscope.evaluation.methods import baseline_names as baseline_names
    from fociscope.evaluation.methods import find_method as find_method
    from fociscope.evaluation.methods import find_methods as find_methods
    from fociscope.evaluation.results import ConditionResult as ConditionResult
    from fociscope.evaluation.results import EvaluationResults as EvaluationResults
    from fociscope.evaluation.results import MethodScores as MethodScores
    from fociscope.evaluation.results import Score as Score
    from fociscope.evaluation.results import SuiteSummary as SuiteSummary
    from fociscope.evaluation.results import read_results as read_results
    from fociscope.evaluation.run import Evaluation as Evaluation
    from fociscope.evaluation.run import evaluate as evaluate
    from fociscope.evaluation.run import evaluate_suite as evaluate_suite
    from fociscope.evaluation.suite import Condition as Condition
    from fociscope.evaluation.suite import Suite as Suite
    from fociscope.evaluation.suite import find_suite as find_suite
    from fociscope.evaluation.suite import selected as selected
    from fociscope.evaluation.volume_ranks import VolumeRanks as VolumeRanks
    from fociscope.evaluation.volume_ranks import fit_copula as fit_copula
    from fociscope.evaluation.volume_ranks import rank_volumes as rank_volumes

#: Public name -> the module that it comes from, imported when it is first used.
_HOME = {
    "Batch": "fociscope.evaluation.batches",
    "Condition": "fociscope.evaluation.suite",
    "ConditionResult": "fociscope.evaluation.results",
    "DataSet": "fociscope.evaluation.data_sets",
    "Evaluation": "fociscope.evaluation.run",
    "EvaluationResults": "fociscope.evaluation.results",
    "MethodScores": "fociscope.evaluation.results",
    "Prediction": "fociscope.evaluation.batches",
    "ReconstructionMethod": "fociscope.evaluation.methods",
    "ReconstructionTask": "fociscope.evaluation.batches",
    "Score": "fociscope.evaluation.results",
    "ScoreAccumulator": "fociscope.evaluation._scores",
    "Suite": "fociscope.evaluation.suite",
    "SuiteSummary": "fociscope.evaluation.results",
    "baseline_names": "fociscope.evaluation.methods",
    "depth_resolution_um": "fociscope.evaluation.limits",
    "evaluate": "fociscope.evaluation.run",
    "evaluate_suite": "fociscope.evaluation.run",
    "find_method": "fociscope.evaluation.methods",
    "find_methods": "fociscope.evaluation.methods",
    "find_suite": "fociscope.evaluation.suite",
    "VolumeRanks": "fociscope.evaluation.volume_ranks",
    "fit_copula": "fociscope.evaluation.volume_ranks",
    "rank_volumes": "fociscope.evaluation.volume_ranks",
    "read_results": "fociscope.evaluation.results",
    "selected": "fociscope.evaluation.suite",
}

__all__ = [
    "Batch",
    "Condition",
    "ConditionResult",
    "DataSet",
    "Evaluation",
    "EvaluationResults",
    "Interval",
    "MaskScores",
    "MethodScores",
    "Prediction",
    "ReconstructionMethod",
    "ReconstructionTask",
    "Score",
    "ScoreAccumulator",
    "Suite",
    "SuiteSummary",
    "VolumeMatch",
    "VolumeRanks",
    "baseline_names",
    "bootstrap_mean",
    "bootstrap_of_means",
    "brier_score",
    "depth_resolution_um",
    "depth_scores",
    "detect_foci",
    "evaluate",
    "evaluate_suite",
    "expected_calibration_error",
    "find_method",
    "find_methods",
    "find_suite",
    "fit_copula",
    "mask_scores",
    "masks_within",
    "match_depths",
    "match_volume_foci",
    "rank_volumes",
    "rate_interval",
    "read_results",
    "relative_squared_error",
    "reliability_curve",
    "selected",
    "share_interval",
    "true_volume_foci",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
