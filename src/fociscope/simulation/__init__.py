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
from fociscope.simulation.volume_grid import DrawnVolume, VolumeGrid
from fociscope.simulation.volume_scenes import VolumeScenes, simulate_volumes
from fociscope.simulation.volumes import (
    VOLUME_KINDS,
    AnyVolume,
    Blobs,
    FlatLayers,
    FociInDepth,
    NucleiClusters,
    Shells,
    StrandsInDepth,
    TiltedSheets,
    VolumeSpecimen,
)

__all__ = [
    "PUBLISHED_STATISTICS",
    "SPECIMEN_KINDS",
    "VOLUME_KINDS",
    "AnySpecimen",
    "AnyTissue",
    "AnyVolume",
    "Blobs",
    "CellularFoci",
    "Clouds",
    "DatasetPlan",
    "DeadLeaves",
    "DrawnFrame",
    "DrawnLayers",
    "DrawnVolume",
    "Dust",
    "FlatLayers",
    "FociInDepth",
    "Glands",
    "Lines",
    "MicroFoci",
    "Mixture",
    "MixturePart",
    "Networks",
    "Nuclei",
    "NucleiClusters",
    "PerlinFoci",
    "PublishedStatistic",
    "ResolutionTarget",
    "Rings",
    "Scenes",
    "Sheets",
    "Shells",
    "SingleCells",
    "Specimen",
    "SpectralFoci",
    "Strands",
    "StrandsInDepth",
    "Surface",
    "TiltedSheets",
    "UserLayers",
    "Varied",
    "VolumeGrid",
    "VolumeScenes",
    "VolumeSpecimen",
    "draw_depths",
    "load_specimen",
    "simulate",
    "simulate_volumes",
    "specimen_statistics",
    "write_dataset",
]
