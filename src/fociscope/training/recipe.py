"""Training recipes: one TOML file names all that a run depends on.

A recipe may name stages, `[[stages]]`, which are trained one after the other from random weights to
the model; each changes some of the recipe's sections.
"""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, model_validator

from fociscope.configuration import Configuration, Range, parse_toml, plain_errors
from fociscope.errors import FociscopeError, ImagerError, RecipeError
from fociscope.files.safe.limits import read_description
from fociscope.imager.geometry import Boundary, Imager
from fociscope.imager.psf import AngleSelectivePsf
from fociscope.networks.layer_net import SMALLEST_FRAME_PX, Architecture
from fociscope.registry import unknown_name
from fociscope.simulation.exposure import REFERENCE_PEAK_SNR_DB
from fociscope.simulation.mixtures import Mixture, MixturePart
from fociscope.simulation.specimens import AnySpecimen
from fociscope.simulation.targets import Lines, Rings
from fociscope.simulation.tissue import PerlinFoci
from fociscope.simulation.volumes import AnyVolume, AnyVolumeSpecimen

__all__ = [
    "RECIPE_FILE",
    "ImagerDistribution",
    "Optimisation",
    "OtherSpecimen",
    "Recipe",
    "SceneDistribution",
    "Stage",
    "shipped_recipes",
]


#: Name of the recipe in the folder of a run.
RECIPE_FILE = "recipe.toml"
#: How the name of a calibration's result ends; the imager lies beside it.
_CALIBRATION = ".calibration.json"


class RecipePart(Configuration):
    """The parent of all sections of a recipe."""

    error: ClassVar[type[FociscopeError]] = RecipeError


class FocusDistribution(RecipePart):
    """The part of the imager distribution that training draws from more often than the rest."""

    FORMER_KEYS: ClassVar[dict[str, str]] = {"sharp": "zero_blur_fraction"}

    share: Annotated[float, Field(gt=0, le=1)]
    """Share of the scenes; the others are drawn from the whole family, which holds the focus."""
    half_angle_deg: Range = (14.0, 22.0)
    base_blur_px: Range = (0.0, 0.6)
    zero_blur_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the focus that has the least base blur exactly: an end of the range that even
    drawing never reaches, and on which the depths nearest to a sensor depend."""
    peak_snr_db: Range = (33.0, 50.0)


class ImagerDistribution(RecipePart):
    """The imagers that training draws from, because the true one is not known exactly.

    Evenly, but for those of the focus. The network is conditioned on half angle and base blur, with
    errors, and on nothing else of the imager.
    """

    FORMER_KEYS: ClassVar[dict[str, str]] = {
        "core": "focus",
        "misplaced": "misregistered_fraction",
        "told_exactly": "exact_fraction",
        "told_half_angle_error_deg": "conditioning_half_angle_std_deg",
        "told_base_blur_error_px": "conditioning_base_blur_std_px",
    }

    half_angle_deg: Range = (9.0, 30.0)
    base_blur_px: Range = (0.0, 1.3)
    peak_snr_db: Range = (18.0, 50.0)
    boundaries: Annotated[tuple[Boundary, ...], Field(min_length=1)] = ("zero", "reflect")
    """Equally often. The gain of each sensor is unknown by construction: captures are relative."""
    focus: FocusDistribution | None = None
    misregistered_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the scenes whose sensor B does not lie at its nominal place."""
    shift_px: Annotated[float, Field(ge=0, le=8)] = 1.0
    """Sensor B lies up to this far from its nominal place, in those scenes."""
    rotation_deg: Annotated[float, Field(ge=0, le=10)] = 1.5
    """Sensor B is rotated by up to this, in the same scenes."""
    background: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Even light on a sensor up to this share of its mean, in half of the scenes."""
    exact_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the scenes whose conditioning has no error, as after a calibration. If it were 0,
    no depth could be better than the conditioning: 1 degree in 18 is 5 % of a depth."""
    conditioning_half_angle_std_deg: Annotated[float, Field(ge=0, le=10)] = 1.5
    """Standard deviation of the conditioning's half angle about the true one, in other scenes."""
    conditioning_base_blur_std_px: Annotated[float, Field(ge=0, le=5)] = 0.35
    """Standard deviation of the conditioning's base blur about the true one, in the same scenes."""


class OtherSpecimen(RecipePart):
    """A specimen that some of the scenes have in place of the usual one."""

    share: Annotated[float, Field(gt=0, le=1)]
    """Of all scenes."""
    specimen: AnySpecimen


class SceneDistribution(RecipePart):
    """The scenes that training draws from."""

    min_separation_um: Range = (250.0, 250.0)
    """Of neighbouring layers; less where so many layers would leave no quarter of the gap free."""
    specimen: AnySpecimen = PerlinFoci()
    """The usual one; models are chosen, calibrated and scored on it."""
    others: tuple[OtherSpecimen, ...] = ()
    layer_counts: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(max_length=6)] = ()
    """How often a scene has 1, 2, ... layers, in any unit; empty: always as many as are scored."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if sum(other.share for other in self.others) > 1:
            raise ValueError("the shares of the other specimens add up to more than 1")
        if self.layer_counts and not sum(self.layer_counts) > 0:
            raise ValueError("layer_counts needs at least one number above 0")
        return self

    @property
    def mixture(self) -> Mixture:
        """All specimens in their shares, as one specimen."""
        usual = 1.0 - sum(other.share for other in self.others)
        parts = [MixturePart(share=other.share, specimen=other.specimen) for other in self.others]
        if usual > 1e-9:
            parts.insert(0, MixturePart(share=usual, specimen=self.specimen))
        return Mixture(parts=tuple(parts))


class VolumeSection(RecipePart):
    """The volumes of a recipe that trains a volume network, in place of layers."""

    slices: Annotated[int, Field(ge=2, le=200)] = 20
    """Slices of the gap; 20 of 50 um for a gap of 1000."""
    specimen: AnyVolumeSpecimen = AnyVolume()
    """What is trained, chosen and scored on."""


class Stream(RecipePart):
    """The live simulation: scenes are drawn from a pool that is renewed as training goes on."""

    pool_chunks: Annotated[int, Field(ge=1)] = 64
    chunk_scenes: Annotated[int, Field(ge=1)] = 64
    steps_per_chunk: Annotated[int, Field(ge=1)] = 16
    """Batches between two renewals of a chunk. A scene is used steps_per_chunk * batch_scenes /
    chunk_scenes times on average, in any of its orientations and with fresh noise."""
    workers: Annotated[int, Field(ge=0, le=1)] = 0
    """0 simulates between the steps; 1 in a process beside it, for a network on a GPU."""
    device: Literal["cpu", "network"] = "cpu"
    """Where scenes are projected and given their noise: the CPU, or the network's device."""

    @model_validator(mode="after")
    def _one_process_per_device(self) -> Self:
        if self.device == "network" and self.workers:
            raise ValueError('workers must be 0 with device = "network", which one process uses')
        return self


class Optimisation(RecipePart):
    """How the weights are optimised."""

    steps: Annotated[int, Field(ge=1)]
    batch_scenes: Annotated[int, Field(ge=2)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    warmup_steps: Annotated[int, Field(ge=0)] = 300
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.998
    intensity_weight: Annotated[float, Field(ge=0)] = 0.2
    depth_weight: Annotated[float, Field(ge=0)] = 2.0
    presence_weight: Annotated[float, Field(ge=0)] = 0.1
    threads: Annotated[int, Field(ge=1)] = 2
    """Of each process."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Mixed: the network computes in 16 bits, weights and losses stay in 32. `auto` is `bf16-mixed`
    where the device is faster in it, else `32-true`."""
    compiled: bool = False
    """Let `torch.compile` write the steps' kernels, where a C++ compiler is at hand: a minute or
    two at the start for a sixth to a third less time a step (benchmarks/throughput.md)."""


class Validation(RecipePart):
    """Scenes under the reference conditions by which the best weights are chosen."""

    every_steps: Annotated[int, Field(ge=1)] = 500
    patience: Annotated[int, Field(ge=0)] = 0
    """Validations without a better one after which training stops early; 0 never does."""
    scenes: Annotated[int, Field(ge=2)] = 400
    mixture_scenes: Annotated[int, Field(ge=0)] = 0
    """Besides them, scenes of all specimens of the recipe in their shares. The best weights are
    chosen by the mean accuracy over both, and calibrated on the former."""
    layers: Annotated[int, Field(ge=1, le=6)] = 4
    """Layers of each scene; also how many the model looks for if its user names no number."""
    min_separation_um: Annotated[float, Field(ge=0)] = 250.0


class CalibrationScenes(RecipePart):
    """Scenes that the finished network's probabilities, deviations and limits are fitted to."""

    FORMER_KEYS: ClassVar[dict[str, str]] = {"witness_scenes": "psf_width_scenes"}

    scenes: Annotated[int, Field(ge=10)] = 2000
    """Under the reference conditions: probabilities and depth deviations."""
    reference_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of them that show the usual specimen. Of the others, equally many show the specimens of
    training in their shares and each of the unfamiliar ones; to these, depth deviations grow."""
    unfamiliar: tuple[AnySpecimen, ...] = (Rings(), Lines())
    """Specimens that training does not know, for deviations that hold on such."""
    family_scenes: Annotated[int, Field(ge=10)] = 2000
    """Of the training family: presence, and what a plausible capture is."""
    psf_width_scenes: Annotated[int, Field(ge=10)] = 12800
    """Of the training family, half of them conditioned on a wrong imager: for two sensors, the
    PSF-width estimator."""

    def split(self) -> tuple[int, int]:
        """Return the number of reference scenes, and that of each other kind."""
        reference = max(1, round(self.scenes * self.reference_share))
        return reference, (self.scenes - reference) // (1 + len(self.unfamiliar))


Seed = Annotated[int, Field(ge=0)]


class Seeds(RecipePart):
    """Training, selection and test never share a seed."""

    weights: Seed = 1
    training: Seed = 101
    validation: Seed = 202
    calibration: Seed = 303
    test: Seed = 404

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        data = [self.training, self.validation, self.calibration, self.test]
        if len(set(data)) < len(data):
            raise ValueError("training, validation, calibration and test need different seeds")
        return self


class Stage(RecipePart):
    """A stage of training: what it changes of the recipe's own sections.

    A stage starts from the best weights of the stage before it, the first one from random weights,
    each with an optimiser and a schedule of its own. What a stage does not name is as in the
    recipe.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9 -]*$", max_length=40)]
    family: dict[str, Any] = Field(default_factory=dict)
    scenes: dict[str, Any] = Field(default_factory=dict)
    stream: dict[str, Any] = Field(default_factory=dict)
    optimisation: dict[str, Any] = Field(default_factory=dict)
    validation: dict[str, Any] = Field(default_factory=dict)
    seeds: dict[str, Any] = Field(default_factory=dict)
    """A training seed of its own; the other seeds are the same in all stages."""

    def changes(self) -> dict[str, dict[str, Any]]:
        """Return section -> changes of its fields."""
        return {section: changes for section, changes in self if section != "name" and changes}


class Recipe(RecipePart):
    """All that a training run depends on.

    Examples:
        >>> from fociscope.training import Recipe
        >>> recipe = Recipe.load("single-a")
        >>> recipe.network.sensors, recipe.network.layers
        (1, 1)
        >>> [stage.name for stage in recipe.stages]
        ['optics and depth', 'focus', 'any tissue']
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    imager: Imager = Imager()
    family: ImagerDistribution = ImagerDistribution()
    scenes: SceneDistribution = SceneDistribution()
    network: Architecture = Architecture()
    volume: VolumeSection | None = None
    """Given, the recipe trains a volume network; `scenes` has no effect then."""
    stream: Stream = Stream()
    optimisation: Optimisation
    validation: Validation = Validation()
    calibration: CalibrationScenes = CalibrationScenes()
    seeds: Seeds = Seeds()
    stages: tuple[Stage, ...] = ()
    """Trained one after the other; without any, the recipe is a single stage."""

    @model_validator(mode="before")
    @classmethod
    def _network_follows_imager(cls, values: Any, info: ValidationInfo) -> Any:
        """Read the file of an imager, and give the network as many sensors as the imager has."""
        if not isinstance(values, dict):
            return values
        imager, network = values.get("imager"), values.get("network", {})
        if isinstance(imager, str):
            folder = (info.context or {}).get("folder", "")
            if folder is None:
                raise ValueError("names an imager, expected its description in the record")
            preset = imager in Imager.presets()
            path = Path(os.path.normpath(Path(folder, imager)))
            imager = Imager.preset(imager) if preset else _imager_of_file(path)
            values = {**values, "imager": imager}
        if isinstance(network, dict) and "sensors" not in network:
            sensors = imager.get("sensors") if isinstance(imager, dict) else None
            sensors = imager.sensors if isinstance(imager, Imager) else sensors
            if sensors in (1, 2):
                values = {**values, "network": {**network, "sensors": sensors}}
        return values

    @model_validator(mode="after")
    def _layers_fit(self) -> Self:
        if self.imager.sensors != self.network.sensors:
            raise ValueError(
                f"the imager has {self.imager.sensors} sensor(s), "
                f"the network {self.network.sensors}; leave out network.sensors, and the network "
                "follows the imager"
            )
        layers = self.validation.layers
        apart_um = max(self.scenes.min_separation_um[1], self.validation.min_separation_um)
        for what, count in (
            ("validation.layers", layers),
            ("scenes.layer_counts", len(self.scenes.layer_counts)),
        ):
            if count > self.network.layers:
                raise ValueError(
                    f"{what} asks for {count} layers; the network has {self.network.layers}"
                )
        if (layers - 1) * apart_um > self.imager.gap_um:
            raise ValueError(
                f"{layers} layers {apart_um:g} µm apart do not fit into the gap of "
                f"{self.imager.gap_um:g} µm; lower min_separation_um in [scenes] and [validation]"
            )
        if self.scenes.min_separation_um[0] < 0:
            raise ValueError("scenes.min_separation_um must not be negative")
        return self

    @model_validator(mode="after")
    def _imagers_fit(self) -> Self:
        grating = self.grating
        pitch_um = self.imager.square_pitch_um
        for half_angle_deg, blur_px in zip(
            self.family.half_angle_deg, self.family.base_blur_px, strict=True
        ):
            try:
                grating.with_(half_angle_deg=half_angle_deg, base_blur_um=blur_px * pitch_um)
            except ImagerError as error:
                raise ValueError(f"family: {error}") from None
        for name, value, (low, high) in (
            ("half_angle_deg", grating.half_angle_deg, self.family.half_angle_deg),
            ("base_blur_px", grating.base_blur_um / pitch_um, self.family.base_blur_px),
        ):
            if not low <= value <= high:
                raise ValueError(
                    f"the imager's {name} of {value:g} lies outside family.{name}, "
                    f"{low:g} to {high:g}; it is the one that the model is chosen and scored on"
                )
        if min(self.imager.frame_px) < SMALLEST_FRAME_PX:
            raise ValueError(f"imager.frame_px needs sides of at least {SMALLEST_FRAME_PX} pixels")
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        every, steps = self.validation.every_steps, self.optimisation.steps
        if steps > every and steps % every:
            raise ValueError(
                f"optimisation.steps ({steps}) must be a multiple of validation.every_steps "
                f"({every}), so that the last weights are scored"
            )
        return self

    @model_validator(mode="after")
    def _noise_and_focus_fit(self) -> Self:
        highest_db = self.imager.camera.highest_peak_snr_db()
        if highest_db < REFERENCE_PEAK_SNR_DB:
            raise ValueError(
                f"the model is chosen and scored at {REFERENCE_PEAK_SNR_DB:g} dB; "
                f"the camera holds {highest_db:.1f} dB"
            )
        focus = self.family.focus
        for name in ("half_angle_deg", "base_blur_px", "peak_snr_db") if focus else ():
            (least, most), (low, high) = getattr(focus, name), getattr(self.family, name)
            if not low <= least <= most <= high:
                raise ValueError(
                    f"family.focus.{name}, {least:g} to {most:g}, must lie within family.{name}, "
                    f"{low:g} to {high:g}"
                )
        if not 0 < self.family.peak_snr_db[0] <= self.family.peak_snr_db[1] <= highest_db:
            raise ValueError(
                f"family.peak_snr_db must lie within the camera's 0 ... {highest_db:.1f} dB"
            )
        return self

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError("two stages have the same name")
        for recipe, name in zip(self.stage_recipes() if names else (), names, strict=True):
            kept = recipe.seeds.model_copy(update={"training": self.seeds.training})
            if kept != self.seeds:
                raise ValueError(f"stage {name!r}: of the seeds, a stage may change training alone")
        return self

    def stage_recipes(self) -> tuple[Self, ...]:
        """Return the recipe of each stage in the order in which they are trained.

        Returns:
            One recipe without stages for each stage; for a recipe without stages, itself.

        Examples:
            >>> from fociscope.training import Recipe
            >>> recipe = Recipe.load("layers-ab")
            >>> [stage.optimisation.steps for stage in recipe.stage_recipes()]
            [30000, 20000, 5500]
        """
        if not self.stages:
            return (self,)
        return tuple(self._stage_recipe(n, stage) for n, stage in enumerate(self.stages, start=1))

    def _stage_recipe(self, number: int, stage: Stage) -> Self:
        values = dict(self) | {"stages": ()}
        for section, changes in stage.changes().items():
            values[section] = _merged(values[section].model_dump(), changes)
        try:
            return type(self).model_validate(values)
        except ValidationError as error:
            where = f"stage {number}, {stage.name!r}"
            raise ValueError(f"{where}: {plain_errors(error)}") from None

    @property
    def grating(self) -> AngleSelectivePsf:
        """The imager's PSF, of the one kind that a family of half angles is drawn around."""
        psf = self.imager.psf
        if not isinstance(psf, AngleSelectivePsf):
            raise ValueError(
                "training draws half angles, so imager.psf must be of kind angle-selective; "
                f"got {psf.kind}"
            )
        return psf

    @property
    def scored_scenes(self) -> dict[str, Any]:
        """Arguments of `simulate` for scenes of selection, calibration and card, but the imager."""
        return {
            "layers": self.validation.layers,
            "min_separation_um": self.validation.min_separation_um,
            "specimen": self.scenes.specimen,
        }

    @property
    def reference_imager(self) -> Imager:
        """The imager of selection, calibration and card: `zero` where the family has it."""
        boundaries = self.family.boundaries
        return self.imager.with_(boundary="zero" if "zero" in boundaries else boundaries[0])

    @classmethod
    def load(cls, name_or_path: str | Path) -> Self:
        """Read a recipe.

        `imager` may name the file of an imager, beside the recipe, in place of a table: a `.toml`
        file or a calibration's `.calibration.json`, beside which its imager lies.

        Args:
            name_or_path: Name of a shipped recipe, or path of a TOML file.

        Returns:
            The recipe, checked.

        Raises:
            RecipeError: if the name is unknown, or the recipe does not hold together.
            FileFormatError: if the file does not exist, or that of its imager.
            ImagerError: if the file of its imager describes none.

        Examples:
            >>> from fociscope.training import Recipe
            >>> Recipe.load("layers-ab").validation.layers
            4
        """
        shipped = shipped_recipes()
        context = None
        if str(name_or_path) in shipped:
            folder = resources.files("fociscope.training") / "recipes"
            content = (folder / f"{name_or_path}.toml").read_bytes()
        elif Path(name_or_path).suffix == ".toml":
            content = read_description(Path(name_or_path))
            context = {"folder": Path(name_or_path).parent}
        else:
            raise unknown_name(
                "recipe", name_or_path, shipped, error=RecipeError, other="give a .toml file"
            )
        return parse_toml(cls, content, source=name_or_path, error=RecipeError, context=context)


def shipped_recipes() -> list[str]:
    """Return the names of the recipes in the package.

    Returns:
        The names, in alphabetical order.

    Examples:
        >>> from fociscope.training import shipped_recipes
        >>> shipped_recipes()
        ['layers-a', 'layers-ab', 'single-a', 'volume-a', 'volume-ab']
    """
    folder = resources.files("fociscope.training") / "recipes"
    return sorted(
        f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")
    )


def _imager_of_file(path: Path) -> Imager:
    """Read an imager from its file, or from that beside the result of a calibration."""
    if path.name.endswith(_CALIBRATION):
        path = path.with_name(f"{path.name.removesuffix(_CALIBRATION)}.toml")
    return Imager.from_toml(path)


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a table with changes, table by table; one of another kind is replaced as a whole."""
    merged = dict(values)
    for key, change in changes.items():
        old = values.get(key)
        if isinstance(old, dict) and isinstance(change, dict):
            is_same_kind = change.get("kind", old.get("kind")) == old.get("kind")
            merged[key] = _merged(old, change) if is_same_kind else change
        else:
            merged[key] = change
    return merged
