"""Whole jobs from files to files: all that the command line does, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.series.options import ReconstructionOptions as ReconstructionOptions
    from fociscope.workflows._adapt import AdaptedModel as AdaptedModel
    from fociscope.workflows._adapt import adapt as adapt
    from fociscope.workflows._calibrate_model import CalibratedModel as CalibratedModel
    from fociscope.workflows._calibrate_model import calibrate_model as calibrate_model
    from fociscope.workflows._design import design as design
    from fociscope.workflows._locate import locate as locate
    from fociscope.workflows._locate_options import LocateOptions as LocateOptions
    from fociscope.workflows._locate_options import LocateOutcome as LocateOutcome
    from fociscope.workflows._locate_watch import watch_emitters as watch_emitters
    from fociscope.workflows._outcome import ReconstructionOutcome as ReconstructionOutcome
    from fociscope.workflows._outcome import ReconstructionPlan as ReconstructionPlan
    from fociscope.workflows._reconstruct import load_correction_for as load_correction_for
    from fociscope.workflows._reconstruct import load_model_for as load_model_for
    from fociscope.workflows._reconstruct import reconstruct as reconstruct
    from fociscope.workflows._reconstruct import reconstruct_captures as reconstruct_captures
    from fociscope.workflows._train import TrainedModel as TrainedModel
    from fociscope.workflows._train import train as train
    from fociscope.workflows._volume import VolumeOutcome as VolumeOutcome
    from fociscope.workflows._volume import reconstruct_volume as reconstruct_volume
    from fociscope.workflows._volume_batch import VolumeBatchOutcome as VolumeBatchOutcome
    from fociscope.workflows._volume_batch import are_volumes_apart as are_volumes_apart
    from fociscope.workflows._volume_batch import reconstruct_volumes as reconstruct_volumes
    from fociscope.workflows._watch import watch as watch
    from fociscope.workflows.demo import DemoResult as DemoResult
    from fociscope.workflows.demo import run_demo as run_demo

#: Each is imported when it is first used, so that a reconstruction does not load Lightning.
_HOME = {
    "AdaptedModel": "fociscope.workflows._adapt",
    "CalibratedModel": "fociscope.workflows._calibrate_model",
    "DemoResult": "fociscope.workflows.demo",
    "LocateOptions": "fociscope.workflows._locate_options",
    "LocateOutcome": "fociscope.workflows._locate_options",
    "ReconstructionOptions": "fociscope.series.options",
    "ReconstructionOutcome": "fociscope.workflows._outcome",
    "ReconstructionPlan": "fociscope.workflows._outcome",
    "TrainedModel": "fociscope.workflows._train",
    "VolumeBatchOutcome": "fociscope.workflows._volume_batch",
    "VolumeOutcome": "fociscope.workflows._volume",
    "are_volumes_apart": "fociscope.workflows._volume_batch",
    "adapt": "fociscope.workflows._adapt",
    "calibrate_model": "fociscope.workflows._calibrate_model",
    "design": "fociscope.workflows._design",
    "load_correction_for": "fociscope.workflows._reconstruct",
    "load_model_for": "fociscope.workflows._reconstruct",
    "locate": "fociscope.workflows._locate",
    "reconstruct": "fociscope.workflows._reconstruct",
    "reconstruct_captures": "fociscope.workflows._reconstruct",
    "reconstruct_volume": "fociscope.workflows._volume",
    "reconstruct_volumes": "fociscope.workflows._volume_batch",
    "run_demo": "fociscope.workflows.demo",
    "train": "fociscope.workflows._train",
    "watch": "fociscope.workflows._watch",
    "watch_emitters": "fociscope.workflows._locate_watch",
}

__all__ = [
    "AdaptedModel",
    "CalibratedModel",
    "DemoResult",
    "LocateOptions",
    "LocateOutcome",
    "ReconstructionOptions",
    "ReconstructionOutcome",
    "ReconstructionPlan",
    "TrainedModel",
    "VolumeBatchOutcome",
    "VolumeOutcome",
    "adapt",
    "are_volumes_apart",
    "calibrate_model",
    "design",
    "load_correction_for",
    "load_model_for",
    "locate",
    "reconstruct",
    "reconstruct_captures",
    "reconstruct_volume",
    "reconstruct_volumes",
    "run_demo",
    "train",
    "watch",
    "watch_emitters",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
