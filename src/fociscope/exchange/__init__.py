"""Models for other programs: one graph from a capture to a calibrated map, without Fociscope."""

from fociscope.exchange.export import FORMATS, export_graph
from fociscope.exchange.facts import OUTPUTS, GraphFacts

__all__ = ["FORMATS", "OUTPUTS", "GraphFacts", "export_graph"]
