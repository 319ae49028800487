"""What is imaged, and its picture: specimens, scenes and data sets."""

from fociscope.simulation._statistics import (
    PUBLISHED_STATISTICS,
    PublishedStatistic,
    specimen_statistics,
)
from fociscope.simulation._user_layers import UserLayers
from fociscope.simulation.base import DrawnLayers, Specimen
from fociscope.simulation.dataset import write_dataset
from fociscope.simulation.dataset_record import DatasetPlan
from fociscope.simulation.frame import DrawnFrame
from fociscope.simulation.scene import Scenes, draw_depths, simulate
from fociscope.simulation.specimens import SPECIMEN_KINDS, AnySpecimen, load_specimen
from fociscope.simulation.surfaces import Surface
from fociscope.simulation.targets import Lines, ResolutionTarget, Rings
from fociscope.simulation.tissue import MicroFoci, PerlinFoci, SingleCells

__all__ = [
    "PUBLISHED_STATISTICS",
    "SPECIMEN_KINDS",
    "AnySpecimen",
    "DatasetPlan",
    "DrawnFrame",
    "DrawnLayers",
    "Lines",
    "MicroFoci",
    "PerlinFoci",
    "PublishedStatistic",
    "ResolutionTarget",
    "Rings",
    "Scenes",
    "SingleCells",
    "Specimen",
    "Surface",
    "UserLayers",
    "draw_depths",
    "load_specimen",
    "simulate",
    "specimen_statistics",
    "write_dataset",
]
