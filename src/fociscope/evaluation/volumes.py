"""Scores of volumes: conditions, methods that reconstruct on a grid of depths, and their scores.

Every method sees the same captures and answers on the same slices. What is not calibrated, the
light of solvers, is cut at the share of its greatest value that scores best on scenes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fociscope.imager.geometry import Imager
from fociscope.networks.volume_foci import VolumeFoci, find_volume_foci
from fociscope.networks.volume_matching import (
    f1_score,
    masks_within,
    match_volume_foci,
    true_volume_foci,
)
from fociscope.simulation.surfaces import Surface
from fociscope.simulation.tissue import PerlinFoci
from fociscope.simulation.volume_scenes import VolumeScenes, simulate_volumes
from fociscope.simulation.volumes import (
    Blobs,
    FlatLayers,
    FociInDepth,
    NucleiClusters,
    Shells,
    StrandsInDepth,
    TiltedSheets,
    VolumeSpecimen,
)
from fociscope.solvers import read_layers, solve_on_grid
from fociscope.typing import BoolArray, Float32Array, Float64Array

__all__ = [
    "VOLUME_CONDITIONS",
    "GridMethod",
    "VolumeCondition",
    "VolumeScores",
    "fitted_to",
    "score_volumes",
    "solver_on_slices",
]

#: Cells from which on a focus counts.
LEAST_CELLS = 3
#: Of each kind, that thresholds are fitted to.
FITTED_SCENES = 16
#: Tried for each method.
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class VolumeCondition:
    """Scenes of one kind, and what is scored on them."""

    name: str
    specimen: VolumeSpecimen
    has_foci: bool = False
    """Whether its foci are compact, so that their centres can be matched."""
    is_sheet: bool = False
    """Whether each column holds one surface at most."""
    layers: int = 0
    """Flat layers that are read off; 0 for none."""
    in_training: bool = True


VOLUME_CONDITIONS: tuple[VolumeCondition, ...] = (
    VolumeCondition(
        "foci in depth",
        FociInDepth(foci=(3, 20), cells_per_focus=(1, 20), separation_um=250.0),
        has_foci=True,
    ),
    VolumeCondition("nuclei clusters", NucleiClusters(), has_foci=True, in_training=False),
    VolumeCondition("shells", Shells(), in_training=False),
    VolumeCondition("strands", StrandsInDepth(strands=(1, 3))),
    VolumeCondition("blobs", Blobs()),
    VolumeCondition(
        "tilted sheet",
        TiltedSheets(sheets=(1, 1), surface=Surface(tilt_deg=12.0), tissue=PerlinFoci()),
        is_sheet=True,
    ),
    VolumeCondition(
        "curved sheet",
        TiltedSheets(sheets=(1, 1), surface=Surface(sagitta_um=300.0), tissue=PerlinFoci()),
        is_sheet=True,
    ),
    *(
        VolumeCondition(
            f"{name} layers",
            FlatLayers(layers=(n, n), min_separation_um=(apart, apart), tissue=PerlinFoci()),
            layers=n,
        )
        for n, name, apart in ((4, "four", 250.0), (5, "five", 187.5), (6, "six", 150.0))
    ),
)


@dataclass(frozen=True)
class GridMethod:
    """A method that answers with a score for each voxel.

    Attributes:
        name: Name in tables.
        solve: (scene, sensor, y, x) captures -> (scene, slice, y, x) scores within 0 ... 1, and
            light of the same shape.
        mask_threshold: Score from which on a voxel counts as cells.
        focus_threshold: Sum of the scores near a voxel from which on it belongs to a focus.
        layer_threshold: Sum of the scores over a layer's slices from which on a pixel is of it.
        spread_scale: Standard deviation of a depth by the spread of the scores.
    """

    name: str
    solve: Callable[[Float32Array], tuple[Float32Array, Float32Array]]
    mask_threshold: float = 0.5
    focus_threshold: float = 0.5
    layer_threshold: float = 0.5
    spread_scale: float = 1.0


@dataclass
class VolumeScores:
    """Scores of one method under one condition; NaN where a score does not apply."""

    condition: str
    method: str
    dice: list[float] = field(default_factory=list)
    jaccard: list[float] = field(default_factory=list)
    hits: int = 0
    missed: int = 0
    false: int = 0
    axial_um: list[float] = field(default_factory=list)
    """Signed errors of the depths of matched foci."""
    covered: list[bool] = field(default_factory=list)
    """Whether the depth of a matched focus lies within one stated standard deviation."""
    surface_um: list[float] = field(default_factory=list)
    """Mean absolute error of the surface in each scene."""
    layer_accuracy: list[float] = field(default_factory=list)
    layer_depth_um: list[float] = field(default_factory=list)

    @property
    def f1(self) -> float:
        """Of foci of at least three cells."""
        return f1_score(self.hits, self.missed, self.false)

    @property
    def axial_error_um(self) -> float:
        """Mean absolute error of the depths of matched foci."""
        return float(np.abs(self.axial_um).mean()) if self.axial_um else float("nan")

    @property
    def coverage(self) -> float:
        """Share of matched foci whose depth lies within one stated standard deviation."""
        return float(np.mean(self.covered)) if self.covered else float("nan")


def solver_on_slices(imager: Imager, solver: str, slices: int) -> GridMethod:
    """Return a solver as a method: its light, relative to the most near any voxel of a scene."""

    def solve(captures: Float32Array) -> tuple[Float32Array, Float32Array]:
        found = solve_on_grid(captures, imager, planes=slices, solver=solver)
        light = np.maximum(np.asarray(found.volume, np.float32), 0)
        most = light.max(axis=(-3, -2, -1), keepdims=True)
        return light / np.maximum(most, 1e-30), light

    return GridMethod(solver, solve)


def score_volumes(
    condition: VolumeCondition,
    scenes: VolumeScenes,
    methods: Sequence[GridMethod],
    *,
    pitch_um: float,
) -> list[VolumeScores]:
    """Score methods on the scenes of a condition.

    Args:
        condition: Condition, which says what is scored.
        scenes: Its scenes.
        methods: Methods to score.
        pitch_um: Side of a pixel in um.

    Returns:
        The scores of each method.
    """
    done = []
    for method in methods:
        scores = VolumeScores(condition.name, method.name)
        found, light = method.solve(scenes.captures)
        for n in range(len(scenes)):
            _score_scene(scores, condition, scenes, n, method, (found[n], light[n]), pitch_um)
        done.append(scores)
    return done


def _score_scene(
    scores: VolumeScores,
    condition: VolumeCondition,
    scenes: VolumeScenes,
    n: int,
    method: GridMethod,
    answer: tuple[Float32Array, Float32Array],
    pitch_um: float,
) -> None:
    found, light = answer
    mask, slice_um = scenes.mask[n], scenes.slice_um
    dice, jaccard = masks_within(found >= method.mask_threshold, mask)
    scores.dice.append(dice)
    scores.jaccard.append(jaccard)
    if condition.has_foci:
        foci = _foci(method, found, light, slice_um, pitch_um)
        true, cells = true_volume_foci(
            mask, scenes.light[n], scenes.depth_um[n], scenes.cells[n], pitch_um=pitch_um
        )
        places = np.stack([foci.depth_um, foci.y_um, foci.x_um], axis=-1)
        match = match_volume_foci(places, true, counts=cells >= LEAST_CELLS)
        scores.hits += match.hits
        scores.missed += match.missed
        scores.false += match.false
        scores.axial_um += match.axial_um.tolist()
        std = foci.depth_std_um[match.pairs[:, 0].astype(int)]
        scores.covered += (np.abs(match.axial_um) <= std).tolist()
    if condition.is_sheet and mask.any():
        scores.surface_um.append(_surface_error_um(found, mask, scenes.depth_um[n], slice_um))
    if condition.layers:
        accuracy, error_um = _layer_scores(
            found, method, mask, scenes.depth_um[n], slice_um, condition.layers
        )
        scores.layer_accuracy.append(accuracy)
        scores.layer_depth_um.append(error_um)


def _foci(
    method: GridMethod,
    found: Float32Array,
    light: Float32Array,
    slice_um: Float32Array,
    pitch_um: float,
) -> VolumeFoci:
    return find_volume_foci(
        found,
        light,
        slice_um,
        pitch_um=pitch_um,
        threshold=method.focus_threshold,
        spread_scale=method.spread_scale,
    )


def _surface_error_um(
    found: Float32Array, mask: BoolArray, depth_um: Float32Array, slice_um: Float32Array
) -> float:
    """Return the mean error of the depth of columns that hold cells."""
    z = np.asarray(slice_um, np.float64)[:, None, None]
    total = found.sum(axis=0)
    middle = (found * z).sum(axis=0) / np.maximum(total, 1e-12)
    # Of a column without any score, the middle of the gap is as good as anything.
    middle = np.where(total > 1e-12, middle, float(z.mean()))
    true = (mask * depth_um).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
    held = mask.any(axis=0)
    return float(np.abs(middle - true)[held].mean())


def _layer_scores(
    found: Float32Array,
    method: GridMethod,
    mask: BoolArray,
    depth_um: Float32Array,
    slice_um: Float32Array,
    layers: int,
) -> tuple[float, float]:
    """Return pixel accuracy and depth error of flat layers that are read off a volume."""
    read = read_layers(found, slice_um, layers)
    held = np.flatnonzero(mask.any(axis=(1, 2)))
    true_um = np.array([depth_um[s][mask[s]].mean() for s in held])
    order = np.argsort(np.abs(np.asarray(read.depth_um)[:, None] - true_um), axis=0)[0]
    predicted = np.minimum(read.layers, 1) >= method.layer_threshold
    right = [(predicted[order[k]] == mask[s]).mean() for k, s in enumerate(held)]
    error = np.abs(np.asarray(read.depth_um)[order] - true_um)
    return float(np.mean(right)), float(error.mean())


def fitted_to(
    method: GridMethod, imager: Imager, *, seed: int, scenes: int | None = None, slices: int = 20
) -> GridMethod:
    """Return a method with the thresholds and the spread that score best on scenes of their own.

    Args:
        method: Method to fit.
        imager: Instrument.
        seed: Seed of the scenes.
        scenes: Scenes of each kind; `FITTED_SCENES` by default.
        slices: Slices of the truth.
    """
    scenes = scenes or FITTED_SCENES
    best_mask = _best_mask_threshold(method, imager, seed, scenes, slices)
    best_layer = _best_layer_threshold(method, imager, seed, scenes, slices)
    compact = VOLUME_CONDITIONS[0]
    few = simulate_volumes(
        scenes, seed=seed, first=scenes, imager=imager, specimen=compact.specimen, slices=slices
    )
    found, light = method.solve(few.captures)

    def solved(_: Float32Array) -> tuple[Float32Array, Float32Array]:
        return found, light

    tried = [
        replace(
            method,
            solve=solved,
            mask_threshold=best_mask,
            focus_threshold=threshold,
            layer_threshold=best_layer,
        )
        for threshold in THRESHOLDS
    ]
    pitch_um = imager.square_pitch_um
    scored = score_volumes(compact, few, tried, pitch_um=pitch_um)
    at = int(np.nanargmax([s.f1 for s in scored]))
    fitted = replace(tried[at], solve=method.solve)
    ratio = _spread_ratio(tried[at], few, pitch_um)
    return replace(fitted, spread_scale=ratio) if ratio > 0 else fitted


def _best_mask_threshold(
    method: GridMethod, imager: Imager, seed: int, scenes: int, slices: int
) -> float:
    """Return the threshold of the best mean Dice within the tolerance, over all that trains."""
    many = simulate_volumes(scenes, seed=seed, imager=imager, slices=slices)
    found, _ = method.solve(many.captures)
    dice = [
        np.mean([masks_within(p >= t, m)[0] for p, m in zip(found, many.mask, strict=True)])
        for t in THRESHOLDS
    ]
    return THRESHOLDS[int(np.argmax(dice))]


def _best_layer_threshold(
    method: GridMethod, imager: Imager, seed: int, scenes: int, slices: int
) -> float:
    """Return the threshold of the best mean accuracy of four flat layers."""
    condition = next(c for c in VOLUME_CONDITIONS if c.layers == 4)
    if condition.layers > slices:
        return method.layer_threshold
    drawn = simulate_volumes(
        scenes,
        seed=seed,
        first=2 * scenes,
        imager=imager,
        specimen=condition.specimen,
        slices=slices,
    )
    found, light = method.solve(drawn.captures)
    tried = [
        replace(method, solve=lambda _: (found, light), layer_threshold=threshold)
        for threshold in THRESHOLDS
    ]
    scored = score_volumes(condition, drawn, tried, pitch_um=imager.square_pitch_um)
    return THRESHOLDS[int(np.argmax([np.mean(s.layer_accuracy) for s in scored]))]


def _spread_ratio(method: GridMethod, scenes: VolumeScenes, pitch_um: float) -> float:
    """Return by how much spreads are to be scaled, so that 68.3 % of true depths lie within."""
    found, light = method.solve(scenes.captures)
    ratios: list[Float64Array] = []
    for n in range(len(scenes)):
        foci = _foci(method, found[n], light[n], scenes.slice_um, pitch_um)
        true, cells = true_volume_foci(
            scenes.mask[n], scenes.light[n], scenes.depth_um[n], scenes.cells[n], pitch_um=pitch_um
        )
        places = np.stack([foci.depth_um, foci.y_um, foci.x_um], axis=-1)
        match = match_volume_foci(places, true, counts=cells >= LEAST_CELLS)
        std = foci.depth_std_um[match.pairs[:, 0].astype(int)]
        ratios.append(np.abs(match.axial_um) / np.maximum(std, 1e-9))
    every = np.concatenate(ratios) if ratios else np.zeros(0)
    return float(np.quantile(every, 0.683)) if len(every) else 0.0
