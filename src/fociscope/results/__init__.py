"""What a reconstruction is, in memory and on disk: layered maps, foci, tables, writers."""

from fociscope.results._layered_map import LayeredMap
from fociscope.results.emitters import load_emitters
from fociscope.results.foci import Focus, find_foci
from fociscope.results.formats import MapContent
from fociscope.results.load import load_result
from fociscope.results.result import Reconstruction
from fociscope.results.volume_map import VOLUME_FORMATS, VolumeMap
from fociscope.results.volume_samples import VolumeSamples
from fociscope.results.writers import WRITERS, Writer, writer_names

__all__ = [
    "VOLUME_FORMATS",
    "WRITERS",
    "Focus",
    "LayeredMap",
    "MapContent",
    "Reconstruction",
    "VolumeMap",
    "VolumeSamples",
    "Writer",
    "find_foci",
    "load_emitters",
    "load_result",
    "writer_names",
]
