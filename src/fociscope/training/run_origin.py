"""What a run starts from beside its recipe: a model's weights, files, processes; in `start.json`.

A run that is resumed is compared with it, because other data or other weights would make it another
run under the same name.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeWarning, RecipeError
from fociscope.files.safe.checksum import sha256, total_bytes
from fociscope.files.safe.records import read_typed_record, write_record
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.store import find_model, read_model
from fociscope.networks.volume_net import VolumeArchitecture, VolumeNet
from fociscope.networks.volume_store import (
    find_volume_model,
    is_volume_model,
    read_volume_model,
)
from fociscope.training._file_scenes import FileScenes
from fociscope.training.recipe import Recipe

__all__ = ["DataRecord", "ModelRecord", "RunOrigin", "initial_weights"]


class ModelRecord(Configuration):
    """The model whose weights a run starts from."""

    name: str
    sha256: str


class DataRecord(Configuration):
    """The files a run trains on; they may move."""

    folder: str
    files: int
    scenes: int
    bytes: int

    @classmethod
    def from_files(cls, source: Path, scenes: FileScenes) -> Self:
        """Describe the files of a data set."""
        size = sum(total_bytes(path) for path in scenes.paths)
        files, samples = len(scenes.paths), scenes.samples
        return cls(folder=str(source), files=files, scenes=samples, bytes=size)

    def is_same_as(self, other: DataRecord) -> bool:
        """Whether these may be the same files, wherever they lie."""
        return self == other.model_copy(update={"folder": self.folder})


class RunOrigin(Configuration):
    """What a run starts from."""

    model: ModelRecord | None = None
    """None: from random weights, or from a stage."""
    stage: str | None = None
    """Name of the stage before, in the same run, whose best weights this one starts from."""
    data: DataRecord | None = None
    """None: live simulation."""
    processes: int = Field(default=1, ge=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote; a run without the file started from random weights.

        Raises:
            RecipeError: if the file is damaged.
        """
        if not path.is_file():
            return cls()
        advice = "train anew in another folder"
        return read_typed_record(path, cls, "the origin of a run", advice=advice, error=RecipeError)

    def write(self, path: Path) -> None:
        """Write it, replacing what a start that failed may have left."""
        values = self.model_dump(mode="json", exclude_none=True)
        write_record(path, values, overwrite=True, indent=2)

    def check_resumable(self, asked: RunOrigin, out: Path, *, from_start: bool = False) -> None:
        """Compare what a run started from with what it is to be resumed with.

        Args:
            asked: Origin of the resumed part; it need not name the model again.
            out: Folder of the run, for the message.
            from_start: Whether it ended before its first checkpoint, so that it begins anew.

        Raises:
            RecipeError: if it would be another run.

        Warns:
            FociscopeWarning: if the number of processes differs: the scenes to come are others.
        """
        if asked.model is not None and (
            self.model is None or asked.model.sha256 != self.model.sha256
        ):
            began = "random weights" if self.model is None else f"another {self.model.name}"
            raise RecipeError(
                f"{out}: the run there started from {began}, not from {asked.model.name}; name "
                "no model to resume it, or name another folder",
                fields=("start_from",),
            )
        if from_start and self.model is not None and asked.model is None:
            raise RecipeError(
                f"{out}: the run there ended before its first checkpoint, and started from "
                f"{self.model.name}; name that model again to begin it anew",
                fields=("start_from",),
            )
        if self.data is None and asked.data is not None:
            raise RecipeError(
                f"{out}: the run there trains on live simulation; name no files to resume it, or "
                "name another folder",
                fields=("data",),
            )
        if self.data is not None and (asked.data is None or not self.data.is_same_as(asked.data)):
            raise RecipeError(
                f"{out}: the run there trains on the {self.data.scenes} scenes of "
                f"{self.data.folder}; name the same files to resume it",
                fields=("data",),
            )
        if self.processes != asked.processes:
            warnings.warn(
                f"the run started with {self.processes} process(es) and is resumed with "
                f"{asked.processes}; it will see other scenes than it would have seen",
                FociscopeWarning,
                stacklevel=2,
            )


def initial_weights(
    name_or_path: str | Path, recipe: Recipe
) -> tuple[LayerNet | VolumeNet, ModelRecord]:
    """Read a model for its weights.

    Args:
        name_or_path: Name of a shipped model, or path of a `.safetensors` file; a model of volumes
            only if the recipe trains one.
        recipe: Recipe whose network the model must have. A network that sees sensor A alone may
            start from one that sees both; the weights for sensor B are left out.

    Returns:
        The network, and the record of its model.

    Raises:
        ModelError: if the model is unknown or damaged.
        FileFormatError: if the file does not exist.
        RecipeError: if its network is another one.
    """
    if recipe.volume is not None and is_volume_model(name_or_path):
        return _initial_volume_weights(find_volume_model(name_or_path), recipe)
    path = find_model(name_or_path)
    network, info = read_model(path)
    network.psf_width = None  # it is of the network as it is; one that trains on gets another
    if recipe.network == info.architecture.model_copy(update={"sensors": 1}):
        network = network.without_sensor_b()
        return network, ModelRecord(name=info.name, sha256=sha256(path))
    theirs, ours = info.architecture.model_dump(), recipe.network.model_dump()
    _refuse_differences(name_or_path, theirs, ours)
    return network, ModelRecord(name=info.name, sha256=sha256(path))


def _initial_volume_weights(path: Path, recipe: Recipe) -> tuple[VolumeNet, ModelRecord]:
    assert recipe.volume is not None
    network, info = read_volume_model(path)
    ours = VolumeArchitecture(trunk=recipe.network, slices=recipe.volume.slices)
    if ours.trunk.sensors < info.architecture.trunk.sensors:
        network = network.without_sensor_b()
    theirs = network.architecture
    _refuse_differences(
        path,
        {**theirs.trunk.model_dump(), "slices": theirs.slices},
        {**ours.trunk.model_dump(), "slices": ours.slices},
    )
    return network, ModelRecord(name=info.name, sha256=sha256(path))


def _refuse_differences(
    name_or_path: str | Path, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    """Refuse weights of another network than the recipe's, and say where they differ."""
    differences = [
        f"{field} = {_toml(theirs.get(field))} (recipe: {_toml(ours.get(field))})"
        for field in dict.fromkeys([*theirs, *ours])
        if theirs.get(field) != ours.get(field)
    ]
    if differences:
        raise RecipeError(
            f"{name_or_path}: another network than the recipe's: {', '.join(differences)}; "
            "make [network] in the recipe the same"
        )


def _toml(value: object) -> str:
    return json.dumps(value, default=str)
