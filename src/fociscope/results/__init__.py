"""What a reconstruction is, in memory and on disk: layered maps, foci, tables, writers."""

from fociscope.results.foci import Focus, find_foci
from fociscope.results.result import Reconstruction

__all__ = ["Focus", "Reconstruction", "find_foci"]
