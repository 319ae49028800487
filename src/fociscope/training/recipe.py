"""Training recipes: one TOML file says all that a run depends on."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fociscope.errors import RecipeError
from fociscope.files.limits import require_file
from fociscope.imager.geometry import Boundary, Imager, plain_errors
from fociscope.networks.layer_net import Architecture
from fociscope.simulation.scene import Specimen

__all__ = ["ImagerFamily", "Optimisation", "Recipe", "SceneFamily", "shipped_recipes"]


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] <= bounds[1]:
        raise ValueError("the first number must not be above the second")
    return bounds


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImagerFamily(_Config):
    """The imagers that training draws from, evenly, because the true one is not known exactly."""

    half_angle_deg: Range = (12.0, 25.0)
    base_blur_px: Range = (0.0, 1.2)
    peak_snr_db: Range = (25.0, 50.0)
    boundaries: tuple[Boundary, ...] = ("zero", "surround")
    """Equally often. The gain of each sensor is unknown by construction: captures are relative."""


class SceneFamily(_Config):
    """The scenes that training draws from."""

    min_separation_um: Range = (250.0, 250.0)
    specimen: Specimen = Specimen()


class Stream(_Config):
    """The live simulation: scenes are drawn from a pool that is renewed as training goes on."""

    pool_chunks: Annotated[int, Field(ge=1)] = 64
    chunk_scenes: Annotated[int, Field(ge=1)] = 64
    steps_per_chunk: Annotated[int, Field(ge=1)] = 16
    """Batches between two renewals of a chunk: how often a scene is used, each time in another of
    its eight orientations and with fresh noise."""
    workers: Annotated[int, Field(ge=0, le=1)] = 0
    """0 simulates between the steps: on two cores a second process costs the network more than it
    saves. 1 simulates beside it, for a network on a GPU."""


class Optimisation(_Config):
    """How the weights are found."""

    steps: Annotated[int, Field(ge=1)]
    batch_scenes: Annotated[int, Field(ge=2)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 300
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998
    intensity_weight: Annotated[float, Field(ge=0)] = 0.2
    depth_weight: Annotated[float, Field(ge=0)] = 2.0
    threads: Annotated[int, Field(ge=1)] = 2


class Validation(_Config):
    """Scenes under the reference conditions by which the best weights are chosen and calibrated."""

    every_steps: Annotated[int, Field(ge=1)] = 500
    scenes: Annotated[int, Field(ge=2)] = 400
    min_separation_um: Annotated[float, Field(ge=0)] = 250.0


class Seeds(_Config):
    """Training, selection and test never share a seed."""

    weights: int = 1
    training: int = 101
    validation: int = 202
    calibration: int = 303
    test: int = 404

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        data = [self.training, self.validation, self.calibration, self.test]
        if len(set(data)) < len(data):
            raise ValueError("training, validation, calibration and test need different seeds")
        return self


class Recipe(_Config):
    """All that a training run depends on."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    imager: Imager = Imager()
    family: ImagerFamily = ImagerFamily()
    scenes: SceneFamily = SceneFamily()
    network: Architecture = Architecture()
    stream: Stream = Stream()
    optimisation: Optimisation
    validation: Validation = Validation()
    seeds: Seeds = Seeds()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.imager.sensors != self.network.sensors:
            raise ValueError(
                f"the imager has {self.imager.sensors} sensor(s), "
                f"the network {self.network.sensors}"
            )
        apart_um = max(self.scenes.min_separation_um[1], self.validation.min_separation_um)
        if (self.network.layers - 1) * apart_um > self.imager.gap_um:
            raise ValueError(
                f"{self.network.layers} layers {apart_um:g} um apart do not fit into the gap of "
                f"{self.imager.gap_um:g} um; lower min_separation_um in [scenes] and [validation]"
            )
        highest_db = self.imager.camera.highest_peak_snr_db()
        if self.family.peak_snr_db[1] > highest_db:
            raise ValueError(f"the camera reaches {highest_db:.1f} dB; lower family.peak_snr_db")
        return self

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """Read a recipe: one of the shipped ones by its name, or a TOML file.

        Raises:
            RecipeError: it is neither, or it does not hold together.
            FileFormatError: there is no such file.
        """
        shipped = shipped_recipes()
        if str(name_or_path) in shipped:
            text = (
                resources.files("fociscope.training") / f"recipes/{name_or_path}.toml"
            ).read_text(encoding="utf-8")
        else:
            path = Path(name_or_path)
            if path.suffix != ".toml":
                raise RecipeError(
                    f"{name_or_path}: neither a .toml file nor a shipped recipe "
                    f"({', '.join(shipped)})"
                )
            try:
                text = require_file(path).read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise RecipeError(f"{path}: not a TOML file: {error}") from None
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{name_or_path}: not a TOML file: {error}") from None
        except ValidationError as error:
            raise RecipeError(f"{name_or_path}: {plain_errors(error)}") from None


def shipped_recipes() -> list[str]:
    """Return the names of the recipes in the package."""
    folder = resources.files("fociscope.training") / "recipes"
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )
