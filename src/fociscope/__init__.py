"""Fociscope: layered 3D maps of tumour-cell foci from chip-scale lensless imagers.

Examples:
    >>> import fociscope
    >>> scenes = fociscope.simulate(2, seed=0)  # layers, masks, depths and captures
    >>> model = fociscope.load_model("layers-ab", device="cpu")
    >>> result = model.reconstruct(scenes.captures)
    >>> result.depth_um.shape  # two captures of four layers each
    (2, 4)

Names and rooms are imported when they are first used, so `import fociscope` is quick: it loads
neither torch nor NumPy.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fociscope import adaptation as adaptation
    from fociscope import calibration as calibration
    from fociscope import errors as errors
    from fociscope import evaluation as evaluation
    from fociscope import exchange as exchange
    from fociscope import figures as figures
    from fociscope import files as files
    from fociscope import imager as imager
    from fociscope import live as live
    from fociscope import localization as localization
    from fociscope import networks as networks
    from fociscope import reconstruction as reconstruction
    from fociscope import results as results
    from fociscope import series as series
    from fociscope import simulation as simulation
    from fociscope import solvers as solvers
    from fociscope import training as training
    from fociscope import typing as typing
    from fociscope import workflows as workflows
    from fociscope.exchange import export_graph as export_graph
    from fociscope.imager import Imager as Imager
    from fociscope.reconstruction import load_model as load_model
    from fociscope.results import Reconstruction as Reconstruction
    from fociscope.results import load_result as load_result
    from fociscope.simulation import simulate as simulate
    from fociscope.workflows import ReconstructionOptions as ReconstructionOptions
    from fociscope.workflows import adapt as adapt
    from fociscope.workflows import calibrate_model as calibrate_model
    from fociscope.workflows import locate as locate
    from fociscope.workflows import reconstruct as reconstruct
    from fociscope.workflows import train as train
    from fociscope.workflows import watch as watch

__version__ = version("fociscope")

#: Public name -> the room that it comes from.
_HOME = {
    "Imager": "imager",
    "Reconstruction": "results",
    "ReconstructionOptions": "workflows",
    "adapt": "workflows",
    "calibrate_model": "workflows",
    "export_graph": "exchange",
    "load_model": "reconstruction",
    "load_result": "results",
    "locate": "workflows",
    "reconstruct": "workflows",
    "simulate": "simulation",
    "train": "workflows",
    "watch": "workflows",
}
#: Rooms that are there after `import fociscope`.
_ROOMS = (
    "adaptation",
    "calibration",
    "design",
    "errors",
    "evaluation",
    "exchange",
    "figures",
    "files",
    "imager",
    "live",
    "localization",
    "networks",
    "reconstruction",
    "results",
    "series",
    "simulation",
    "solvers",
    "training",
    "typing",
    "workflows",
)

__all__ = [
    "Imager",
    "Reconstruction",
    "ReconstructionOptions",
    "__version__",
    "adapt",
    "calibrate_model",
    "export_graph",
    "load_model",
    "load_result",
    "locate",
    "reconstruct",
    "simulate",
    "train",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"fociscope.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return import_module(f"fociscope.{name}")
    raise AttributeError(f"module 'fociscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
