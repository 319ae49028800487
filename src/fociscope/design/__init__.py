"""Design of an imager: which pitch, grating, gap, exposure and sensors give what accuracy.

    space = DesignSpace(pixel_pitch_um=(42, 80), half_angle_deg=(12, 28), sensors=(1, 2))
    study = sweep(space)
    study.best("depth_error_um")

Bounds need no network; the shipped networks, conditioned on the imager, score any design within
the range of their training. Names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.design._information import (
        gaussian_information_bits as gaussian_information_bits,
    )
    from fociscope.design._layers import LayerBounds as LayerBounds
    from fociscope.design._layers import layer_bounds as layer_bounds
    from fociscope.design._network import NetworkScores as NetworkScores
    from fociscope.design._network import ScoreEstimate as ScoreEstimate
    from fociscope.design.chip import ImagerDesign as ImagerDesign
    from fociscope.design.results import read_study as read_study
    from fociscope.design.results import write_study as write_study
    from fociscope.design.scores import DesignScores as DesignScores
    from fociscope.design.scores import score_design as score_design
    from fociscope.design.space import DesignSpace as DesignSpace
    from fociscope.design.space import write_commented_space as write_commented_space
    from fociscope.design.study import DesignStudy as DesignStudy
    from fociscope.design.study import pareto_front as pareto_front
    from fociscope.design.study import sweep as sweep

#: Public name -> the module that it comes from.
_HOME = {
    "DesignScores": "fociscope.design.scores",
    "DesignSpace": "fociscope.design.space",
    "DesignStudy": "fociscope.design.study",
    "ScoreEstimate": "fociscope.design._network",
    "ImagerDesign": "fociscope.design.chip",
    "LayerBounds": "fociscope.design._layers",
    "NetworkScores": "fociscope.design._network",
    "gaussian_information_bits": "fociscope.design._information",
    "layer_bounds": "fociscope.design._layers",
    "pareto_front": "fociscope.design.study",
    "read_study": "fociscope.design.results",
    "score_design": "fociscope.design.scores",
    "sweep": "fociscope.design.study",
    "write_commented_space": "fociscope.design.space",
    "write_study": "fociscope.design.results",
}

__all__ = [
    "DesignScores",
    "DesignSpace",
    "DesignStudy",
    "ImagerDesign",
    "LayerBounds",
    "NetworkScores",
    "ScoreEstimate",
    "gaussian_information_bits",
    "layer_bounds",
    "pareto_front",
    "read_study",
    "score_design",
    "sweep",
    "write_commented_space",
    "write_study",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
