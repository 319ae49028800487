"""Fociscope: layered 3D maps of tumour-cell foci from chip-scale lensless imagers.

    import fociscope

    scenes = fociscope.simulate(8, seed=0)
    result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)
    result.save("out/")

What stands here is imported when it is first used, so that `import fociscope` is quick.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fociscope.imager import Imager as Imager
    from fociscope.reconstruction import load_model as load_model
    from fociscope.results import Reconstruction as Reconstruction
    from fociscope.simulation import simulate as simulate

__version__ = version("fociscope")

_HOME = {
    "Imager": "fociscope.imager",
    "Reconstruction": "fociscope.results",
    "load_model": "fociscope.reconstruction",
    "simulate": "fociscope.simulation",
}

__all__ = ["Imager", "Reconstruction", "__version__", "load_model", "simulate"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'fociscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
