"""Training: recipes, batches, runs in stages, and export to a model file.

Names are imported when they are first used, so `import fociscope.training` loads neither torch nor
Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fociscope.training._file_scenes import FileScenes as FileScenes
    from fociscope.training._file_scenes import SceneSample as SceneSample
    from fociscope.training.export import export_model as export_model
    from fociscope.training.hardware import ComputeSettings as ComputeSettings
    from fociscope.training.recipe import Recipe as Recipe
    from fociscope.training.recipe import shipped_recipes as shipped_recipes
    from fociscope.training.run import StageOutcome as StageOutcome
    from fociscope.training.run import TrainingOutcome as TrainingOutcome
    from fociscope.training.run import train as train

#: Public name -> the module that it comes from.
_HOME = {
    "ComputeSettings": "hardware",
    "FileScenes": "_file_scenes",
    "Recipe": "recipe",
    "SceneSample": "_file_scenes",
    "StageOutcome": "run",
    "TrainingOutcome": "run",
    "export_model": "export",
    "shipped_recipes": "recipe",
    "train": "run",
}

__all__ = [
    "ComputeSettings",
    "FileScenes",
    "Recipe",
    "SceneSample",
    "StageOutcome",
    "TrainingOutcome",
    "export_model",
    "shipped_recipes",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f"fociscope.training.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fociscope.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
