"""A model and captures whose truth is known in; a model that says what holds of its maps out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fociscope.errors import FociscopeError, ModelError, printable
from fociscope.evaluation.batches import Batch
from fociscope.evaluation.data_sets import DataSet
from fociscope.evaluation.guarantees import (
    FACTORS,
    THRESHOLDS,
    GuaranteeLosses,
    depth_bars,
    false_foci,
    losses_of,
)
from fociscope.evaluation.methods import ModelMethod
from fociscope.files.safe.atomic import check_target
from fociscope.imager.geometry import Imager
from fociscope.networks import Guarantees, find_model, least_captures, read_model, write_model

__all__ = ["CalibratedModel", "calibrate_model"]


@dataclass(frozen=True)
class CalibratedModel:
    """A model with guarantees, and how they did on captures that were held back.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.networks import Guarantees
        >>> from fociscope.workflows import CalibratedModel
        >>> guarantees = Guarantees(captures=100, layers=4, data="mine")
        >>> CalibratedModel(Path("mine.safetensors"), guarantees, 0.97, 0.03, 0.91).kept
        0.97
    """

    model: Path
    """The model's file, for `fociscope.load_model`."""
    guarantees: Guarantees
    kept: float
    """Share of the foci that are there which the threshold leaves; NaN without one."""
    false_foci: float
    """Share of false foci in the mean over one half of the captures, by a threshold from the
    other; NaN if that half gives none."""
    depths_inside: float
    """The same of the depths within their bars."""


def calibrate_model(
    model: Path | str,
    data: Path | str,
    output: Path | str,
    *,
    most_false_foci: float = 0.05,
    least_depths: float = 0.9,
    confidence: float | None = 0.95,
    imager: Imager | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CalibratedModel:
    """Measure on captures with a known truth what holds of a model's maps, and write it into it.

    The statements are those of risk-controlling prediction sets, or without a confidence of
    conformal risk control (`fociscope.networks.control_risk`): in the mean over captures drawn as
    these were, for any network and any tissue. They hold for no others.

    Args:
        model: A shipped model, or a .safetensors file.
        data: File or folder of the published layout with captures, masks and depths: labelled, or
            simulated by `fociscope simulate` as the chip and the tissue are.
        output: File to write, .safetensors.
        most_false_foci: Largest share of a capture's foci that may be false.
        least_depths: Smallest share of a capture's layers whose depth shall lie in its bar.
        confidence: That the shares hold, within 0 ... 1; None for shares that hold in the mean over
            many calibrations, which asks for less.
        imager: Imager of the captures; that of the data set by default.
        device: Where to compute.
        overwrite: Whether to replace an existing file.
        progress: Called with the number of captures done and their total.

    Returns:
        The model's file, the guarantees, and a check by halves.

    Raises:
        FociscopeError: If a share lies outside 0 ... 1, or there are too few captures.
        FileFormatError: If the captures cannot be read, or have no masks or depths.
        ModelError: If the model cannot be read, or cannot answer such captures.
        OutputExistsError: If the file exists and `overwrite` is false.

    Examples:
        >>> import fociscope
        >>> from pathlib import Path
        >>> from fociscope.files import ImagesDepth, write_images_depth
        >>> scenes = fociscope.simulate(60, seed=5)
        >>> depth_map_um = scenes.mask * scenes.depth_um[..., None, None]
        >>> truth = ImagesDepth(scenes.captures, scenes.layers, depth_map_um, scenes.depth_um)
        >>> write_images_depth(Path("known.h5"), truth)
        >>> done = fociscope.calibrate_model("layers-ab", "known.h5", "mine.safetensors")
        >>> done.guarantees.captures
        60
    """
    shares = {"most_false_foci": most_false_foci, "least_depths": least_depths}
    for name, share in {**shares, "confidence": confidence}.items():
        if share is not None and not 0 < share < 1:
            raise FociscopeError(
                f"{name} must lie between 0 and 1; got {share:g}", fields=(name,), value=share
            )
    output = Path(output)
    check_target(output, overwrite)
    method = ModelMethod(find_model(model), device=device)
    known = DataSet(Path(data), imager=imager)
    layers = min(known.layers, method.layers)
    unable = method.unsupported_reason(known.task)
    if unable is not None:
        raise ModelError(f"{method.name} {unable}")
    needed = least_captures(min(most_false_foci, 1 - least_depths), confidence)
    if known.scenes < needed:
        raise FociscopeError(
            f"{known.scenes} capture(s) are too few for such shares; at least {needed} are needed, "
            "and a few hundred for thresholds that are not needlessly strict"
        )
    losses = losses_of(method, _counted(known, progress, printable(data)), known.task)
    foci = false_foci(losses, most_false_foci, confidence)
    guarantees = Guarantees(
        captures=losses.captures,
        layers=layers,
        data=known.name,
        confidence=confidence,
        false_foci=foci,
        depth_bars=depth_bars(losses, least_depths, confidence),
    )
    network, info = read_model(find_model(model))
    info = info.model_copy(update={"guarantees": guarantees, "layers": layers})
    write_model(output, network, info, overwrite=overwrite)
    kept = float("nan") if foci is None else losses.kept(foci.threshold)
    checked = _by_halves(losses, most_false_foci, least_depths, confidence)
    return CalibratedModel(output, guarantees, kept, *checked)


def _counted(
    known: DataSet, progress: Callable[[int, int], None] | None, name: str
) -> Iterator[Batch]:
    """Yield the captures, and refuse those without a truth."""
    done = 0
    for batch in known.batches():
        if batch.mask is None or batch.depth_um is None:
            raise FociscopeError(
                f"{name}: guarantees need the masks and depths of the layers "
                "(tumorDistrib_DepthMap); there are none"
            )
        yield batch
        done += len(batch)
        if progress is not None:
            progress(done, known.scenes)


def _by_halves(
    losses: GuaranteeLosses, most: float, least: float, confidence: float | None
) -> tuple[float, float]:
    """Calibrate on every other capture, and return what comes about on the others."""
    ours, others = losses.half(0), losses.half(1)
    foci, depth = false_foci(ours, most, confidence), depth_bars(ours, least, confidence)
    false = inside = float("nan")
    if foci is not None and others.captures:
        false = float(others.foci[:, np.searchsorted(THRESHOLDS, foci.threshold - 1e-9)].mean())
    if depth is not None and others.captures:
        inside = 1 - float(others.depth[:, np.searchsorted(FACTORS, depth.factor - 1e-9)].mean())
    return false, inside
