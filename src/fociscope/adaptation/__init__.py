"""Adaptation: a model for a chip and a tissue, from their captures, without any truth."""

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.adaptation.judge import ModelScores as ModelScores
    from fociscope.adaptation.judge import is_better as is_better
    from fociscope.adaptation.judge import scores_of as scores_of
    from fociscope.adaptation.recipe import adaptation_recipe as adaptation_recipe
    from fociscope.adaptation.tissue import TissueMatch as TissueMatch
    from fociscope.adaptation.tissue import capture_features as capture_features
    from fociscope.adaptation.tissue import match_tissue as match_tissue
    from fociscope.adaptation.tissue import peak_snr_db as peak_snr_db

#: Each is imported when it is first used, so that reading results does not load Lightning.
_HOME = {
    "ModelScores": "fociscope.adaptation.judge",
    "TissueMatch": "fociscope.adaptation.tissue",
    "adaptation_recipe": "fociscope.adaptation.recipe",
    "capture_features": "fociscope.adaptation.tissue",
    "is_better": "fociscope.adaptation.judge",
    "match_tissue": "fociscope.adaptation.tissue",
    "peak_snr_db": "fociscope.adaptation.tissue",
    "scores_of": "fociscope.adaptation.judge",
}

__all__ = [
    "ModelScores",
    "TissueMatch",
    "adaptation_recipe",
    "capture_features",
    "is_better",
    "match_tissue",
    "peak_snr_db",
    "scores_of",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
