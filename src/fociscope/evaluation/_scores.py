"""Accumulates a method's scores over the scenes of a condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fociscope.evaluation.batches import MATCH_UM, Batch, Prediction, match_predicted_layers
from fociscope.evaluation.bootstrap import Interval, bootstrap_mean, bootstrap_of_means
from fociscope.evaluation.metrics import (
    FocusCandidates,
    MaskCounts,
    detect_foci,
    even_image_error,
    foci_stated_and_there,
    focus_candidates,
    mask_counts,
    relative_squared_error,
    reliability_curve,
)
from fociscope.evaluation.results import (
    DetectionAtFalseRate,
    DetectionCounts,
    FocusDetection,
    FocusReliability,
    FocusReliabilityBins,
    MethodScores,
    Numbers,
    PixelReliability,
    Score,
    ScoresByDepth,
    ScoresByLayer,
)
from fociscope.networks.map_quality import WRONG_DICE
from fociscope.typing import BoolArray, Float64Array

__all__ = ["DEPTH_BINS", "FOCUS_EDGES_CELLS", "SCORES", "ScoreAccumulator"]


#: Scores with an interval: name -> unit; "1" is a share of 1.
SCORES = {
    "accuracy": "1",
    "constant_accuracy": "1",
    "dice": "1",
    "constant_dice": "1",
    "iou": "1",
    "mcc": "1",
    "depth_error_um": "um",
    "constant_depth_error_um": "um",
    "depth_bias_um": "um",
    "within_100_um": "1",
    "constant_within_100_um": "1",
    "within_one_std": "1",
    "image_error": "1",
    "even_image_error": "1",
    "brier": "1",
}
_MASK_SCORES = ("accuracy", "constant_accuracy", "dice", "constant_dice", "iou", "mcc")
RESAMPLES = 1000
BIN_RESAMPLES = 400
PROBABILITY_BINS = 15
#: Bins of the probability of foci; the last holds those said to be there at 90 % or more.
FOCUS_PROBABILITY_BINS = 10
DEPTH_BINS = 10
#: Sizes of foci; octaves from one cell on.
FOCUS_EDGES_CELLS = (0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, float("inf"))
#: Sizes of foci where cells are counted: 1, 2 to 5, 6 to 20, and more.
COUNTED_EDGES_CELLS = (1.0, 2.0, 6.0, 21.0, float("inf"))
#: False foci per frame, one layer's map, at which their sensitivity is stated.
FALSE_PER_FRAME = 1.0
#: A map is wrong below `WRONG_DICE`, or if its depths are farther off on average.
WRONG_DEPTH_UM = 60.0


class ScoreAccumulator:
    """Scores of one method under one condition; batches are added as they come."""

    def __init__(self, *, pixel_pitch_um: float, deepest_um: float) -> None:
        """Start without scenes."""
        self.pixel_pitch_um, self.deepest_um = pixel_pitch_um, deepest_um
        self.is_matched = False
        self.scenes = 0
        self._rows: dict[str, list[NDArray[Any]]] = defaultdict(list)
        self._bins = np.zeros((3, PROBABILITY_BINS))
        self._detection = np.zeros((2, len(FOCUS_EDGES_CELLS) - 1))
        self._false_foci, self._area_mm2, self._frame_mm2 = 0, 0.0, 0.0
        self._candidates: list[FocusCandidates] = []
        self._nearest: list[FocusCandidates] = []
        self._foci: list[NDArray[Any]] = []

    def add(self, batch: Batch, prediction: Prediction) -> Prediction:
        """Score some scenes; return the estimate with its layers in the places of the true ones."""
        self.scenes += len(batch)
        if batch.depth_um is not None and prediction.mask.shape[1] != batch.depth_um.shape[1]:
            prediction, false = match_predicted_layers(prediction, batch.depth_um)
            self.is_matched = True
            self._rows["false_layers"].append(false)
        if prediction.residual is not None:
            self._rows["residual"].append(prediction.residual)
        if prediction.flagged is not None:
            self._rows["flagged"].append(prediction.flagged)
        if batch.mask is not None:
            self._add_masks(batch, batch.mask, prediction)
        if batch.depth_um is not None:
            self._add_depths(batch, batch.depth_um, prediction)
        if batch.layers is not None and prediction.intensity is not None:
            true, restored = batch.layers, prediction.intensity
            self._rows["image_error"].append(relative_squared_error(restored, true, gain_free=True))
            self._rows["even_image_error"].append(even_image_error(true))
            by_layer = relative_squared_error(restored, true, gain_free=True, axes=(-2, -1))
            self._rows["layer_image_error"].append(by_layer)
        return prediction

    def _add_masks(self, batch: Batch, true: BoolArray, prediction: Prediction) -> None:
        self._rows["counts"].append(mask_counts(prediction.mask, true).array())
        if prediction.probability is not None:
            p = prediction.probability
            curve = reliability_curve(p, true, bins=PROBABILITY_BINS)
            self._bins += np.stack(
                [
                    np.nan_to_num(curve.probability) * curve.count,
                    np.nan_to_num(curve.frequency) * curve.count,
                    curve.count,
                ]
            )
            self._rows["brier"].append(((p - true) ** 2).mean(axis=(1, 2, 3), dtype=np.float64))
        cells = batch.cells_per_pixel
        if isinstance(cells, np.ndarray) and prediction.probability is not None:
            p = prediction.probability
            self._candidates.append(focus_candidates(p, true, cells))
            if p.shape[1] > 1:
                self._nearest.append(focus_candidates(p[:, :1], true[:, :1], cells[:, :1]))
        if prediction.focus_probability is not None:
            self._foci.append(
                foci_stated_and_there(prediction.mask, prediction.focus_probability, true)
            )
        if batch.cells_per_pixel is not None:
            foci = detect_foci(
                prediction.mask,
                true,
                cells_per_pixel=batch.cells_per_pixel,
                pixel_pitch_um=self.pixel_pitch_um,
            )
            by_size = foci.sensitivity(FOCUS_EDGES_CELLS)
            self._detection += np.stack([by_size.detected, by_size.foci])
            self._false_foci += int(foci.false_foci.sum())
            self._frame_mm2 = foci.frame_mm2
            self._area_mm2 += foci.frame_mm2 * len(foci.false_foci)

    def _add_depths(self, batch: Batch, true_um: NDArray[Any], prediction: Prediction) -> None:
        """Note depths; the depth of a layer without cells means nothing, and is not scored."""
        true = true_um.astype(np.float64)
        if batch.mask is not None:
            true = np.where(batch.mask.any(axis=(-2, -1)), true, np.nan)
        self._rows["true_um"].append(true)
        if prediction.depth_um is None:
            return
        self._rows["depth_um"].append(prediction.depth_um.astype(np.float64))
        std = prediction.depth_std_um
        self._rows["std_um"].append(np.full(true.shape, np.nan) if std is None else std)

    def scores(self, *, seed: int, by_depth: bool) -> MethodScores:
        """Return all scores; those without truth or answer are None.

        Args:
            seed: Seed of the bootstrap.
            by_depth: Whether to score in bins of the true depth too.
        """
        rows = {name: np.concatenate(parts) for name, parts in self._rows.items()}
        found: dict[str, object] = {"scenes": self.scenes, "matched_layers": self.is_matched}
        by_layer: dict[str, Numbers] = {}

        def score(
            names: Sequence[str],
            values: ArrayLike,
            function: Callable[[Float64Array], Float64Array] = lambda means: means,
        ) -> None:
            interval = bootstrap_of_means(values, function, seed=seed, resamples=RESAMPLES)
            found.update(zip(names, _entries(interval), strict=True))

        if "counts" in rows:
            score(_MASK_SCORES, rows["counts"].sum(axis=1), _mask_scores)
            layers = MaskCounts.from_array(rows["counts"]).per_layer()
            found["specificity"] = _plain(
                MaskCounts.from_array(rows["counts"]).pooled().specificity
            )[0]
            by_layer |= {n: _plain(getattr(layers, n)) for n in _MASK_SCORES}
        if self._bins[2].any():
            found["reliability"], found["calibration_error"] = self._reliability()
            score(["brier"], rows["brier"][:, None])
        if self._area_mm2:
            found["detection"] = FocusDetection(
                edges_cells=_plain(FOCUS_EDGES_CELLS),
                detected=_plain(self._detection[0]),
                foci=_plain(self._detection[1]),
                false_foci=self._false_foci,
                area_mm2=round(self._area_mm2, 3),
            )
        if self._candidates:
            found["detection_at_false_rate"] = self._at_false_rate()
        if sum(len(part) for part in self._foci):
            found["foci"] = self._focus_reliability()
        if "flagged" in rows:
            found.update(_flag_scores(rows))
        if "depth_um" in rows:
            self._score_depths(rows, found, by_layer, score)
        if "image_error" in rows:
            names = ["image_error", "even_image_error"]
            score(names, np.stack([rows[name] for name in names], axis=1))
        if "residual" in rows:
            found["residual"] = _plain(rows["residual"].mean(axis=0, dtype=np.float64))
        if by_depth and "true_um" in rows:
            found["by_depth"] = self._by_depth(rows, seed)
        if by_layer:
            found["by_layer"] = ScoresByLayer.model_validate(by_layer)
        return MethodScores.model_validate(found)

    def _score_depths(
        self,
        rows: dict[str, NDArray[Any]],
        found: dict[str, object],
        by_layer: dict[str, Numbers],
        score: Callable[[Sequence[str], ArrayLike, Callable[[Float64Array], Float64Array]], None],
    ) -> None:
        true, said, std = rows["true_um"], rows["depth_um"], rows["std_um"]
        scored = ~np.isnan(true)
        if not scored.any():
            return
        here = scored & ~np.isnan(said)
        error = np.where(here, said - true, 0.0)
        some = scored.sum(axis=0)
        constant = np.where(scored, true, 0).sum(axis=0) / np.maximum(some, 1)
        spread = np.where(scored, np.abs(constant - true), 0.0)
        if here.any():
            score(
                ["depth_error_um", "depth_bias_um"],
                np.stack([np.abs(error), error, here], axis=-1).sum(axis=1),
                _over_last,
            )
            layer_error = np.abs(error).sum(axis=0) / np.maximum(here.sum(axis=0), 1)
            by_layer["depth_error_um"] = _plain(layer_error)
        score(
            ["within_100_um", "constant_depth_error_um", "constant_within_100_um"],
            np.stack(
                [
                    here & (np.abs(error) <= MATCH_UM),
                    spread,
                    scored & (spread <= MATCH_UM),
                    scored,
                ],
                axis=-1,
            ).sum(axis=1),
            _over_last,
        )
        stated = here & ~np.isnan(std)
        if stated.any():
            inside = stated & (np.abs(error) <= np.where(stated, std, 0))
            score(["within_one_std"], np.stack([inside, stated], axis=-1).sum(axis=1), _over_last)
        if self.is_matched:
            found["missed_layers"] = round(float(1 - here.sum() / scored.sum()), 6)
            found["false_layers_per_scene"] = round(float(rows["false_layers"].mean()), 6)

    def _at_false_rate(self) -> DetectionAtFalseRate:
        """Return the foci detected in all layers, and in the nearest one where there are more."""

        def detected(parts: list[FocusCandidates]) -> DetectionCounts:
            found, there = FocusCandidates.joined(parts).detected(
                COUNTED_EDGES_CELLS, false_per_frame=FALSE_PER_FRAME
            )
            return DetectionCounts(detected=_plain(found), foci=_plain(there))

        every = detected(self._candidates)
        found = DetectionAtFalseRate(
            edges_cells=_plain(COUNTED_EDGES_CELLS),
            detected=every.detected,
            foci=every.foci,
            false_foci_per_frame=FALSE_PER_FRAME,
            false_foci_per_mm2=round(FALSE_PER_FRAME / self._frame_mm2, 6),
        )
        if not self._nearest:
            return found
        return found.model_copy(update={"nearest_layer": detected(self._nearest)})

    def _focus_reliability(self) -> FocusReliability:
        stated, there = np.concatenate(self._foci).T
        curve = reliability_curve(stated, there, bins=FOCUS_PROBABILITY_BINS)
        return FocusReliability(
            foci=len(stated),
            stated=round(float(stated.mean()), 6),
            there=round(float(there.mean()), 6),
            calibration_error=round(curve.expected_calibration_error, 6),
            reliability=FocusReliabilityBins(
                probability=_plain(curve.probability),
                frequency=_plain(curve.frequency),
                foci=tuple(int(n) for n in curve.count),
            ),
        )

    def _reliability(self) -> tuple[PixelReliability, float]:
        stated, true, count = self._bins
        some = np.where(count > 0, count, np.nan)
        error = float(np.abs(stated - true).sum() / count.sum())
        curve = PixelReliability(
            probability=_plain(stated / some),
            frequency=_plain(true / some),
            pixels=tuple(int(n) for n in count),
        )
        return curve, round(error, 6)

    def _by_depth(self, rows: dict[str, NDArray[Any]], seed: int) -> ScoresByDepth:
        """Return scores of layers in even bins of their true depth; None in empty bins."""
        edges = np.linspace(0, self.deepest_um, DEPTH_BINS + 1)
        true = rows["true_um"].ravel()
        which = np.clip(np.searchsorted(edges, true, side="right") - 1, 0, DEPTH_BINS - 1)
        which = np.where(np.isnan(true), -1, which)
        values: dict[str, Float64Array] = {}
        if "depth_um" in rows:
            error = np.abs(rows["depth_um"].ravel() - true)
            within = np.where(np.isnan(error), 0.0, error <= MATCH_UM)
            values |= {"depth_error_um": error, "within_100_um": within}
        if "counts" in rows:
            counts = MaskCounts.from_array(rows["counts"].reshape(-1, 5))
            values["accuracy"], values["constant_accuracy"] = (
                counts.accuracy,
                counts.constant_accuracy,
            )
        if "layer_image_error" in rows:
            values["image_error"] = rows["layer_image_error"].ravel()
        binned: dict[str, list[Score | None]] = {name: [] for name in values}
        square: list[float | None] = []
        for number in range(DEPTH_BINS):
            for name, value in values.items():
                inside = value[(which == number) & ~np.isnan(value)]
                entry = None
                if inside.size:
                    interval = bootstrap_mean(inside, seed=seed, resamples=BIN_RESAMPLES)
                    entry = _entries(interval)[0]
                binned[name].append(entry)
            if "depth_um" in rows:
                inside = error[(which == number) & ~np.isnan(error)]
                square.append(round(float(np.sqrt((inside**2).mean())), 6) if inside.size else None)
        return ScoresByDepth.model_validate(
            {
                "edges_um": _plain(edges),
                "layers": [int((which == number).sum()) for number in range(DEPTH_BINS)],
                **({"depth_rmse_um": square} if square else {}),
                **binned,
            }
        )


def _mask_scores(means: Float64Array) -> Float64Array:
    counts = MaskCounts.from_array(means)
    return np.stack([getattr(counts, name) for name in _MASK_SCORES], axis=-1)


def _flag_scores(rows: dict[str, NDArray[Any]]) -> dict[str, float | None]:
    """Return the share of captures that are flagged, of all, of wrong and of sound maps."""
    flagged = rows["flagged"]
    scores: dict[str, float | None] = {"flagged": _plain(flagged.mean(dtype=np.float64))[0]}
    if "counts" not in rows or "depth_um" not in rows:
        return scores
    dice = MaskCounts.from_array(rows["counts"].sum(axis=1)).dice
    error = np.abs(rows["depth_um"] - rows["true_um"])
    scored = ~np.isnan(rows["true_um"])
    # A layer that was missed has no depth: it counts as farther off than any limit.
    error = np.where(scored, np.where(np.isnan(error), np.inf, error), 0)
    off_um = error.sum(axis=1) / np.maximum(scored.sum(axis=1), 1)
    wrong = (dice < WRONG_DICE) | (off_um > WRONG_DEPTH_UM)
    scores["wrong"] = _plain(wrong.mean(dtype=np.float64))[0]
    for name, some in (("flagged_of_wrong", wrong), ("flagged_of_sound", ~wrong)):
        scores[name] = _plain(flagged[some].mean(dtype=np.float64))[0] if some.any() else None
    return scores


def _over_last(means: Float64Array) -> Float64Array:
    """Return all but the last of sums, over the last, which is a number of layers."""
    number = means[..., -1:]
    return np.where(number > 0, means[..., :-1] / np.where(number > 0, number, 1), np.nan)


def _entries(interval: Interval) -> list[Score]:
    """Return each score with its interval."""
    columns = [_plain(np.atleast_1d(part)) for part in interval]
    return [
        Score(value=value, low=low, high=high) for value, low, high in zip(*columns, strict=True)
    ]


def _plain(values: ArrayLike) -> Numbers:
    """Return numbers that JSON can hold, six digits of them; None for NaN and infinity."""
    flat = np.asarray(values).ravel()
    return tuple(None if not np.isfinite(v) else float(f"{v:.6g}") for v in flat)
