"""Training: recipes, batches, runs in stages, and export to a model file.

Names are imported when they are first used, so `import fociscope.training` loads neither torch nor
Lightning.
"""

from typing import TYPE_CHECKING

from fociscope._lazy import lazy_names

if TYPE_CHECKING:
    from fociscope.training._file_scenes import FileScenes as FileScenes
    from fociscope.training._file_scenes import SceneSample as SceneSample
    from fociscope.training.export import export_model as export_model
    from fociscope.training.hardware import ComputeSettings as ComputeSettings
    from fociscope.training.progress import Phase as Phase
    from fociscope.training.progress import ProgressUpdate as ProgressUpdate
    from fociscope.training.progress import TrainingProgress as TrainingProgress
    from fociscope.training.progress import ValidationScores as ValidationScores
    from fociscope.training.recipe import Recipe as Recipe
    from fociscope.training.recipe import shipped_recipes as shipped_recipes
    from fociscope.training.recipe_file import new_recipe as new_recipe
    from fociscope.training.run import StageOutcome as StageOutcome
    from fociscope.training.run import TrainingOutcome as TrainingOutcome
    from fociscope.training.run import train as train

#: Public name -> the module that it comes from.
_HOME = {
    "ComputeSettings": "fociscope.training.hardware",
    "FileScenes": "fociscope.training._file_scenes",
    "Phase": "fociscope.training.progress",
    "ProgressUpdate": "fociscope.training.progress",
    "Recipe": "fociscope.training.recipe",
    "SceneSample": "fociscope.training._file_scenes",
    "StageOutcome": "fociscope.training.run",
    "TrainingOutcome": "fociscope.training.run",
    "TrainingProgress": "fociscope.training.progress",
    "ValidationScores": "fociscope.training.progress",
    "export_model": "fociscope.training.export",
    "new_recipe": "fociscope.training.recipe_file",
    "shipped_recipes": "fociscope.training.recipe",
    "train": "fociscope.training.run",
}

__all__ = [
    "ComputeSettings",
    "FileScenes",
    "Phase",
    "ProgressUpdate",
    "Recipe",
    "SceneSample",
    "StageOutcome",
    "TrainingOutcome",
    "TrainingProgress",
    "ValidationScores",
    "export_model",
    "new_recipe",
    "shipped_recipes",
    "train",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
