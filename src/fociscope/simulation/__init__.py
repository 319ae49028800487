"""What is imaged, and its picture: foci, cells, scenes and data sets."""

from fociscope.simulation.scene import Scenes, Specimen, draw_depths, simulate

__all__ = ["Scenes", "Specimen", "draw_depths", "simulate"]
