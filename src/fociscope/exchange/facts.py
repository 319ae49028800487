"""What an exported graph takes, returns and leaves out, in words that go with each file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version

from fociscope.imager.geometry import Imager
from fociscope.networks.layer_net import SMALLEST_FRAME_PX
from fociscope.reconstruction import Model

__all__ = ["CAPTURES", "NOT_INCLUDED", "OUTPUTS", "GraphFacts"]

#: Name of the input.
CAPTURES = "captures"
#: Name of each output -> axes, unit, meaning. The names are those of `Reconstruction`.
OUTPUTS = {
    "probability": ("batch, layer, y, x", "1", "calibrated probability that cells are there"),
    "intensity": (
        "batch, layer, y, x",
        "unit of the captures",
        "restored light of each layer that reaches sensor A; 0 in layers that are absent",
    ),
    "depth_um": ("batch, layer", "um", "distance of each layer from sensor A"),
    "depth_std_um": ("batch, layer", "um", "calibrated standard deviation of the depth"),
    "presence": (
        "batch, layer",
        "1",
        "calibrated probability that there is such a layer; from 0.5 on it counts as present",
    ),
}

NOT_INCLUDED = (
    "checks of the captures (finite, with light and contrast, at least "
    f"{SMALLEST_FRAME_PX} x {SMALLEST_FRAME_PX} pixels)",
    "dark frame, flat field, bad pixels, and the filling of hot and dead pixels",
    "re-projection, self-check residual, out-of-distribution check and map-quality check",
    "refinement of light and depths, foci and their probabilities",
    "tiles: the whole frame must fit into memory",
)


@dataclass(frozen=True)
class GraphFacts:
    """The facts of one exported graph.

    Attributes:
        model: Name of the model.
        imager: Imager that is part of the graph.
        sensors: Number of sensors of the captures.
        layers: Number of layers that are looked for.

    Examples:
        >>> import fociscope
        >>> from fociscope.exchange import GraphFacts
        >>> GraphFacts.from_model(fociscope.load_model("single-a"), layers=1).captures
        'captures (batch, sensor, y, x): sensor A'
    """

    model: str
    imager: Imager
    sensors: int
    layers: int

    @classmethod
    def from_model(cls, model: Model, *, layers: int) -> GraphFacts:
        """Return the facts of a model that looks for so many layers."""
        return cls(model.info.name, model.imager, model.info.architecture.sensors, layers)

    @property
    def not_included(self) -> tuple[str, ...]:
        """What Fociscope does and the graph does not."""
        return NOT_INCLUDED

    @property
    def captures(self) -> str:
        """What the input is."""
        sensors = "sensor A, sensor B" if self.sensors == 2 else "sensor A"
        return f"{CAPTURES} (batch, sensor, y, x): {sensors}"

    @property
    def description(self) -> str:
        """What the graph is, in one paragraph."""
        return (
            f"Fociscope's model {self.model} for the imager {self.imager.name}: captures of a "
            f"lensless imager to a layered map of up to {self.layers} layer(s), calibrated. "
            f"Input: {self.captures}, float32, in any unit of light. Not included: "
            + "; ".join(NOT_INCLUDED)
            + "."
        )

    @property
    def metadata(self) -> dict[str, str]:
        """The same by name, for a program to read."""
        imager = self.imager
        return {
            "fociscope_version": version("fociscope"),
            "model": self.model,
            "imager": imager.name,
            "pixel_pitch_um": str(imager.square_pitch_um),
            "gap_um": str(imager.gap_um),
            "layers": str(self.layers),
            "smallest_frame_px": str(SMALLEST_FRAME_PX),
            "input": self.captures,
            "outputs": json.dumps(
                {
                    name: {"axes": axes, "unit": unit, "meaning": meaning}
                    for name, (axes, unit, meaning) in OUTPUTS.items()
                }
            ),
            "not_included": json.dumps(NOT_INCLUDED),
            "license": "Apache-2.0",
        }
