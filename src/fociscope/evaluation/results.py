"""The results of an evaluation: what is written to `results.json` and read back.

Each object of the file is a class here, from the scores of one method up to `EvaluationResults`. A
score that a method has none of is None, and is not written. No host, path or date is among the
results. The seconds are those of the machine that it ran on.
"""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator

from fociscope.files.safe.records import read_typed_record, write_record

__all__ = [
    "FORMAT_VERSION",
    "RESULTS_FORMAT",
    "ConditionResult",
    "ConditionSummary",
    "DepthBound",
    "DepthLimit",
    "DetectionAtFalseRate",
    "DetectionCounts",
    "EvaluationResults",
    "FocusDetection",
    "FocusReliability",
    "FocusReliabilityBins",
    "MethodScores",
    "MethodSummary",
    "NotApplicable",
    "PixelReliability",
    "Score",
    "ScoresByDepth",
    "ScoresByLayer",
    "SuiteSummary",
    "as_json",
    "read_results",
    "versions",
    "write_results",
]

RESULTS_FORMAT = "fociscope-evaluation"
FORMAT_VERSION = 1

Numbers = tuple[float | None, ...]
"""None where nothing could be scored, such as in empty bins."""
Description = dict[str, JsonValue]
"""A specimen or an imager as its file states it, without what is the default."""


class EvaluationRecord(BaseModel):
    """The parent of all classes here: frozen, finite; fields of later versions are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def __getitem__(self, name: str) -> object:
        """Return a field by its name; for one version, as results were dictionaries before.

        Raises:
            KeyError: If there is no such field, or the results have none.
        """
        warnings.warn(
            f"{type(self).__name__}[{name!r}] is now the attribute {name}",
            DeprecationWarning,
            stacklevel=2,
        )
        if name not in self.model_fields_set:
            raise KeyError(name)
        return getattr(self, name)


class Score(EvaluationRecord):
    """A score with its 95 % interval over scenes.

    Examples:
        >>> from fociscope.evaluation import Score
        >>> Score(value=0.9, low=0.85, high=0.93).low
        0.85
    """

    value: float | None
    """None if there was nothing to score."""
    low: float | None
    """None, as `high`, if there were too few scenes for an interval."""
    high: float | None


class ScoresByLayer(EvaluationRecord):
    """Scores of each layer, the nearest to sensor A first."""

    accuracy: Numbers | None = None
    constant_accuracy: Numbers | None = None
    dice: Numbers | None = None
    constant_dice: Numbers | None = None
    iou: Numbers | None = None
    mcc: Numbers | None = None
    depth_error_um: Numbers | None = None


class PixelReliability(EvaluationRecord):
    """Stated probabilities of cells against frequencies, in even bins of the probability."""

    probability: Numbers
    """Mean of what is stated in each bin."""
    frequency: Numbers
    """Share of the bin's pixels that hold cells."""
    pixels: tuple[int, ...]


class FocusReliabilityBins(EvaluationRecord):
    """Stated probabilities of foci against frequencies, in even bins of the probability."""

    probability: Numbers
    frequency: Numbers
    foci: tuple[int, ...]


class FocusReliability(EvaluationRecord):
    """The probabilities that are stated of foci, beside the share of foci that are there."""

    foci: int
    """Number of foci of the maps."""
    stated: float
    there: float
    calibration_error: float
    reliability: FocusReliabilityBins


class DetectionCounts(EvaluationRecord):
    """Foci of each size, and how many of them were detected."""

    detected: tuple[float, ...]
    foci: tuple[float, ...]


class FocusDetection(DetectionCounts):
    """Foci that the mask detects."""

    edges_cells: Numbers
    """Of the sizes; None for infinity."""
    false_foci: int
    area_mm2: float
    """All frames and layers together."""


class DetectionAtFalseRate(DetectionCounts):
    """Foci that the probability map detects at the threshold of a rate of false foci."""

    edges_cells: Numbers
    """Of the sizes; None for infinity."""
    false_foci_per_frame: float
    false_foci_per_mm2: float | None = None
    """None in results of earlier versions."""
    nearest_layer: DetectionCounts | None = None
    """The same in the layer nearest to sensor A, where there are more."""


class ScoresByDepth(EvaluationRecord):
    """Scores of layers in even bins of their true depth; None in empty bins."""

    edges_um: tuple[float, ...]
    layers: tuple[int, ...]
    """Number of layers in each bin."""
    depth_rmse_um: Numbers | None = None
    depth_error_um: tuple[Score | None, ...] | None = None
    within_100_um: tuple[Score | None, ...] | None = None
    accuracy: tuple[Score | None, ...] | None = None
    constant_accuracy: tuple[Score | None, ...] | None = None
    image_error: tuple[Score | None, ...] | None = None

    def score(self, name: str) -> tuple[Score | None, ...] | None:
        """Return a score in each bin by its name, such as `accuracy`; None if there is none."""
        if name in ("edges_um", "layers", "depth_rmse_um"):
            raise KeyError(name)
        scores: tuple[Score | None, ...] | None = getattr(self, name)
        return scores


class MethodScores(EvaluationRecord):
    """The scores of a method under a condition; None for what it has no score of.

    Examples:
        >>> from fociscope.evaluation import MethodScores, Score
        >>> accuracy = Score(value=0.9, low=None, high=None)
        >>> scores = MethodScores(scenes=6, matched_layers=False, accuracy=accuracy)
        >>> scores.accuracy.value, scores.dice
        (0.9, None)
    """

    scenes: int
    matched_layers: bool
    """Whether the method's layers were matched with the true ones by depth."""
    accuracy: Score | None = None
    constant_accuracy: Score | None = None
    dice: Score | None = None
    constant_dice: Score | None = None
    iou: Score | None = None
    mcc: Score | None = None
    specificity: float | None = None
    by_layer: ScoresByLayer | None = None
    reliability: PixelReliability | None = None
    calibration_error: float | None = None
    """Expected calibration error of the pixels' probability, 0 to 1."""
    brier: Score | None = None
    detection: FocusDetection | None = None
    detection_at_false_rate: DetectionAtFalseRate | None = None
    foci: FocusReliability | None = None
    flagged: float | None = None
    """Share of captures that the out-of-distribution check speaks against, 0 to 1."""
    wrong: float | None = None
    """Share of captures whose map is wrong."""
    flagged_of_wrong: float | None = None
    flagged_of_sound: float | None = None
    depth_error_um: Score | None = None
    depth_bias_um: Score | None = None
    within_100_um: Score | None = None
    constant_depth_error_um: Score | None = None
    constant_within_100_um: Score | None = None
    within_one_std: Score | None = None
    missed_layers: float | None = None
    """Share of the true layers, 0 to 1, that no layer of the method lies near."""
    false_layers_per_scene: float | None = None
    image_error: Score | None = None
    even_image_error: Score | None = None
    residual: Numbers | None = None
    """Mean self-check residual of each sensor, 0 to 1."""
    by_depth: ScoresByDepth | None = None
    seconds_per_scene: float | None = None

    def score(self, name: str) -> Score | None:
        """Return a score with an interval by its name, such as `accuracy`; None if there is none.

        Args:
            name: One of `fociscope.evaluation.metrics` with an interval.
        """
        found = getattr(self, name)
        if found is not None and not isinstance(found, Score):
            raise KeyError(name)
        return found

    def value(self, name: str) -> float | None:
        """Return a score by its name, whether it has an interval or not; None if there is none."""
        found = getattr(self, name)
        if isinstance(found, Score):
            return found.value
        if found is not None and not isinstance(found, float):
            raise KeyError(name)
        return found


class NotApplicable(EvaluationRecord):
    """Takes the place of scores where a method does not support a condition."""

    not_applicable: str
    """The reason."""


def _which_scores(scores: object) -> str:
    """Return the tag of scores, or of what takes their place."""
    is_reason = isinstance(scores, NotApplicable) or (
        isinstance(scores, dict) and "not_applicable" in scores
    )
    return "not_applicable" if is_reason else "scores"


ScoresTag = Annotated[MethodScores, Tag("scores")]
NotApplicableTag = Annotated[NotApplicable, Tag("not_applicable")]


class DepthBound(EvaluationRecord):
    """Cramer-Rao bounds of a depth, as standard deviations in um, in each bin of depth."""

    known_um: Numbers
    """Of layers whose images are known: the median of each bin, None in empty ones."""
    unknown_um: tuple[float, ...] | None = None
    """Of a layer that is alone and whose image is not known, in the middle of each bin."""


class DepthLimit(DepthBound):
    """The bounds for captures of all sensors, and for sensor A alone."""

    depth_um: tuple[float, ...]
    """Middles of the bins."""
    sensor_a: DepthBound | None = None


class ConditionSummary(EvaluationRecord):
    """What a condition is: how its captures are taken, and what varies."""

    name: str
    group: str
    value: float | str
    unit: str | None = None
    seed: int | None = None
    scenes: int
    slow_scenes: int | None = None
    layers: int | None = None
    """None for the default number of layers, as all that is the default."""
    min_separation_um: float | None = None
    peak_snr_db: float | None = None
    specimen: str | Description | None = None
    imager: Description | None = None
    assumed: Description | None = None
    """The imager that methods are told of, where it is not the true one."""
    files: tuple[str, ...] | None = None
    displacement_px: tuple[tuple[float, float], ...] | None = None
    """How far the sensor images lie beside the layers, along y and x; whole pixels of it are taken
    out before the scoring."""
    test_only: Literal[True] | None = None
    """Whether no recipe trains on these scenes."""


class ConditionResult(ConditionSummary):
    """A condition with the scores of each method.

    Examples:
        >>> from fociscope.evaluation import ConditionResult, MethodScores
        >>> scores = {"mine": MethodScores(scenes=6, matched_layers=False)}
        >>> row = ConditionResult(name="mine", group="data", value="", scenes=6, scores=scores)
        >>> row.scored("mine").scenes, row.scored("other")
        (6, None)
    """

    scores: dict[str, Annotated[ScoresTag | NotApplicableTag, Discriminator(_which_scores)]]
    """By the names of the methods, the evaluated one first."""
    depth_limit: DepthLimit | None = None
    notes: tuple[str, ...] | None = None
    """Warnings that were given, each once."""

    def scored(self, method: str) -> MethodScores | None:
        """Return the scores of a method; None if it does not support the condition.

        Args:
            method: Name of the method.
        """
        scores = self.scores.get(method)
        return scores if isinstance(scores, MethodScores) else None

    def score(self, method: str, name: str) -> Score | None:
        """Return a score with an interval of a method; None if there is none.

        Args:
            method: Name of the method.
            name: Name of the score, such as `accuracy`.
        """
        scores = self.scored(method)
        return None if scores is None else scores.score(name)


class MethodSummary(EvaluationRecord):
    """What a method is."""

    kind: str
    """`model`, `solver`, `constant` or `limit`."""
    inputs: str
    """What it uses, in words."""
    oracle: bool
    """Whether it knows truths that no capture offers."""
    seconds_per_scene: float | None
    """The median over all conditions; None if nothing was scored."""
    sha256: str | None = None
    """Of a model's weights."""
    layers: int | None = None
    """Number of layers that a model is made for."""
    sensors: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, values: object) -> object:
        return _renamed(values, "told", "inputs")


class SuiteSummary(EvaluationRecord):
    """Which scenes were scored.

    Examples:
        >>> from fociscope.evaluation import SuiteSummary
        >>> SuiteSummary(name="mine").version is None
        True
    """

    name: str
    """Of the suite; `data` for data sets."""
    version: int | None = None
    validation_seed: int | None = None
    bootstrap_seed: int | None = None
    test_only: tuple[str, ...] | None = None
    """Conditions that no recipe trains on."""


class EvaluationResults(EvaluationRecord):
    """The content of `results.json`: scores of all methods under all conditions.

    Examples:
        >>> from fociscope.evaluation import evaluate_suite, find_method, find_suite, selected
        >>> suite = selected(find_suite("quick"), "layers-2")
        >>> results = evaluate_suite(suite, [find_method("constant")]).results
        >>> results.evaluated, results.conditions[0].scored("constant").scenes
        ('constant', 6)
    """

    format: Literal["fociscope-evaluation"] = "fociscope-evaluation"
    format_version: Literal[1] = 1
    suite: SuiteSummary
    versions: dict[str, str]
    threads: int
    pixel_pitch_um: float = 55.0
    methods: dict[str, MethodSummary] = Field(min_length=1)
    """By their names, the evaluated one first."""
    conditions: tuple[ConditionResult, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, values: object) -> object:
        return _renamed(values, "candidates", "methods")

    @property
    def evaluated(self) -> str:
        """Name of the method that is evaluated; the others are its baselines."""
        return next(iter(self.methods))


def versions() -> dict[str, str]:
    """Return the versions of what the scores depend on."""
    packages = {name: version(name) for name in ("fociscope", "numpy", "scipy", "torch")}
    return {"python": platform.python_version(), **packages}


def assembled(
    suite: SuiteSummary,
    methods: Mapping[str, MethodSummary],
    conditions: tuple[ConditionResult, ...],
    *,
    pixel_pitch_um: float,
) -> EvaluationResults:
    """Return the results of an evaluation that this process has run."""
    return EvaluationResults(
        format="fociscope-evaluation",
        format_version=1,
        suite=suite,
        versions=versions(),
        threads=torch.get_num_threads(),
        pixel_pitch_um=pixel_pitch_um,
        methods=dict(methods),
        conditions=conditions,
    )


def as_json(results: EvaluationResults) -> str:
    """Return results as the text of `results.json`, without its checksum."""
    values = results.model_dump(mode="json", exclude_unset=True)
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def write_results(path: Path, results: EvaluationResults) -> None:
    """Write `results.json`, with a checksum of its own.

    Args:
        path: Path of the file, which is new.
        results: Results to write.

    Raises:
        OutputExistsError: If the file exists.
        FociscopeError: If the disk refuses.
    """
    write_record(path, json.loads(as_json(results)))


def read_results(path: Path) -> EvaluationResults:
    """Read `results.json`.

    Args:
        path: Path of the file.

    Returns:
        The results.

    Raises:
        FileFormatError: If the file is missing, too large, no such file, or of another version.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.evaluation import read_results
        >>> read_results(Path("absent.json"))
        Traceback (most recent call last):
        ...
        fociscope.errors.FileFormatError: absent.json: there is no such file, expected the results \
        of 'fociscope evaluate'; check the path, or evaluate again.
    """
    return read_typed_record(
        path,
        EvaluationResults,
        "the results of 'fociscope evaluate'",
        format=RESULTS_FORMAT,
        version=FORMAT_VERSION,
        advice="evaluate again",
    )


def _renamed(values: object, former: str, name: str) -> object:
    """Return the values with a key that an earlier version has written under its present name."""
    if isinstance(values, dict) and former in values and name not in values:
        return {name if key == former else key: value for key, value in values.items()}
    return values
