"""What is imaged, and its picture: specimens, scenes and data sets."""

from fociscope.simulation._illumination import Dust
from fociscope.simulation._statistics import (
    PUBLISHED_STATISTICS,
    PublishedStatistic,
    specimen_statistics,
)
from fociscope.simulation._user_layers import UserLayers
from fociscope.simulation.base import DrawnLayers, Specimen
from fociscope.simulation.clouds import Clouds
from fociscope.simulation.dataset import write_dataset
from fociscope.simulation.dataset_record import DatasetPlan
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.mixtures import AnyTissue, Mixture, MixturePart, Varied
from fociscope.simulation.patterns import CellularFoci, DeadLeaves, Sheets, SpectralFoci
from fociscope.simulation.scene import Scenes, draw_depths, simulate
from fociscope.simulation.specimens import SPECIMEN_KINDS, AnySpecimen, load_specimen
from fociscope.simulation.structures import Glands, Networks, Nuclei, Strands
from fociscope.simulation.surfaces import Surface
from fociscope.simulation.targets import Lines, ResolutionTarget, Rings
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells

__all__ = [
    "PUBLISHED_STATISTICS",
    "SPECIMEN_KINDS",
    "AnySpecimen",
    "AnyTissue",
    "CellularFoci",
    "Clouds",
    "DatasetPlan",
    "DeadLeaves",
    "DrawnFrame",
    "DrawnLayers",
    "Dust",
    "Glands",
    "Lines",
    "MicroFoci",
    "Mixture",
    "MixturePart",
    "Networks",
    "Nuclei",
    "PerlinFoci",
    "PublishedStatistic",
    "ResolutionTarget",
    "Rings",
    "Scenes",
    "Sheets",
    "SingleCells",
    "Specimen",
    "SpectralFoci",
    "Strands",
    "Surface",
    "UserLayers",
    "Varied",
    "draw_depths",
    "load_specimen",
    "simulate",
    "specimen_statistics",
    "write_dataset",
]
