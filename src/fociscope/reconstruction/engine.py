"""The engine: a trained model that turns captures into a `Reconstruction`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fociscope.arrays import as_tensor, is_path, whole_number
from fociscope.devices import Precision, Runtime, pick_device, pick_precision
from fociscope.errors import FociscopeError, ImagerError, ModelError
from fociscope.files import open_captures
from fociscope.imager.geometry import Imager
from fociscope.imager.projector import LayerProjector
from fociscope.imager.registration import Registration
from fociscope.networks.calibration import OutputCalibration
from fociscope.networks.conditioning import optics_features
from fociscope.networks.guarantees import Guarantees
from fociscope.networks.inference import InferenceNet, group_size
from fociscope.networks.layer_net import LayerNet
from fociscope.networks.map_quality import map_terms
from fociscope.networks.ood import (
    CaptureStatistics,
    capture_statistics,
    share_at_the_top,
    with_psf_mismatch,
)
from fociscope.networks.reprojection import light_and_depth, reproject
from fociscope.networks.store import ModelInfo, find_model, read_model
from fociscope.reconstruction._alignment import aligned
from fociscope.reconstruction._refinement import refined_light
from fociscope.reconstruction._runtime import CompiledNetworks, pick_runtime
from fociscope.reconstruction._tiling import LEAST_TILE_PX, TILE_PX, in_tiles, with_smaller_tiles
from fociscope.reconstruction.checks import (
    check_captures,
    check_imager,
    check_pixel_size,
    light_unit,
)
from fociscope.reconstruction.correction import ChipCorrection, dead_pixels
from fociscope.reconstruction.outlying import describe_outlying, fill_outlying
from fociscope.results.result import Reconstruction
from fociscope.solvers import depth_around
from fociscope.threads import map_on_threads, one_thread
from fociscope.typing import ArrayLike, CapturesLike, Float32Array, Float64Array

__all__ = ["Model", "load_model"]

#: Pixels of one sensor that are reconstructed at a time: 64 frames of 51x51.
BATCH_PIXELS = 64 * 51 * 51
#: Frames of no more pixels are computed by one thread each; larger ones by all together, so that
#: no more of them than one are in memory.
SMALL_FRAME_PIXELS = 128 * 128
#: Larger frames, and those that go through in tiles, are computed in float32 in any case, because
#: tiles of bfloat16 would not agree with the whole frame to its digits.
BFLOAT16_PIXELS = 128 * 128


class Model:
    """A trained network, its calibration, and the imager whose captures it reconstructs.

    `load_model` returns one.

    Attributes:
        network: Trained network.
        info: Name, number of layers, calibration and training imager of the model.
        imager: Instrument of the captures.
        device: Device of the network.
        refine: Whether the restored light is fitted to the captures.
        refine_depth: Whether the depth of a layer that is alone is fitted to the captures.
        precision: Numbers in which small frames are computed, `float32` or `bfloat16`.
        runtime: What computes small frames, see `load_model`.
        warnings: Warnings about the imager from when the model was loaded.

    Examples:
        >>> import fociscope
        >>> model = fociscope.load_model("layers-ab", device="cpu")
        >>> scenes = fociscope.simulate(2, seed=0)
        >>> model.reconstruct(scenes.captures).mask.shape
        (2, 4, 51, 51)
    """

    def __init__(
        self,
        network: LayerNet,
        info: ModelInfo,
        *,
        imager: Imager,
        device: torch.device,
        refine: bool = False,
        refine_depth: bool = False,
        precision: Precision = "auto",
        runtime: Runtime = "auto",
        warnings: tuple[str, ...] = (),
    ) -> None:
        """Create a model; `load_model` does so from a file."""
        self.network = network.to(device)
        self.info = info
        self.imager = imager
        self.device = device
        self.refine = refine
        self.refine_depth = refine_depth
        if refine_depth and imager.sensors < 2:
            raise FociscopeError(
                f"the depth of a layer is fitted to how two sensors see it; {info.name} and its "
                "imager have one sensor; leave the depth as the network states it",
                fields=("refine_depth",),
            )
        self.precision = pick_precision(precision, device)
        self.runtime = pick_runtime(runtime, device)
        self.warnings = warnings
        self._optics = optics_features(imager).to(device)
        self._projector = LayerProjector(imager)
        self._compiled = CompiledNetworks(self.runtime, self.network, self._optics)
        self._folded: dict[tuple[int, torch.dtype], tuple[InferenceNet, OutputCalibration]] = {}

    def reconstruct(
        self,
        captures: CapturesLike,
        *,
        layers: int | None = None,
        correction: ChipCorrection | None = None,
        tile_px: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Reconstruction:
        """Reconstruct one capture or many.

        Hot and dead pixels that a capture shows by itself are filled, and stand in the warnings.

        Args:
            captures: (..., sensor, y, x) in any unit of light; the gain of each sensor may be
                unknown. Frames have at least 32x32 pixels. Or paths of files, as
                `fociscope.files.read_captures` takes them.
            layers: Greatest number of layers to look for; some of them may turn out to be absent.
                The model's own number by default.
            correction: Dark frame, flat field and bad pixels of the chip; none by default.
            tile_px: Side of the tiles in which large frames are computed, in pixels; the result
                does not depend on it. `TILE_PX` by default. Where memory runs out, smaller tiles
                are taken, with a warning.
            progress: Called with the number of captures done and their total.

        Returns:
            The layered map, with the leading axes of `captures`.

        Raises:
            CaptureError: If the model cannot reconstruct captures of such a shape or content, or if
                the frames of the correction have another shape.
            FileFormatError: If a file of captures cannot be read.
            FociscopeError: If the number of layers or the tiles are out of their range, or if the
                memory does not suffice.
        """
        if is_path(captures):
            read, names, time_s = self._read(captures)
            result = self.reconstruct(
                read, layers=layers, correction=correction, tile_px=tile_px, progress=progress
            )
            return replace(result, names=names, time_s=time_s)
        layers, tile_px = self._checked_layers(layers), _checked_tile(tile_px)
        raw = as_tensor(cast(ArrayLike, captures)).to(torch.float32)
        threads = torch.get_num_threads()
        alone = one_thread() if self._is_small(raw) else nullcontext()
        with alone:
            return self._reconstruct(raw, layers, correction, tile_px, progress, threads)

    def _reconstruct(
        self,
        raw: Tensor,
        layers: int,
        correction: ChipCorrection | None,
        tile_px: int,
        progress: Callable[[int, int], None] | None,
        threads: int,
    ) -> Reconstruction:
        """Reconstruct (..., sensor, y, x) on so many threads, all arguments checked."""
        given, bad = raw, None
        dead = dead_pixels(self.imager, tuple(raw.shape)) if raw.ndim >= 3 else None
        if (correction is not None or dead is not None) and raw.ndim >= 3:
            given, bad = (correction or ChipCorrection())(raw, dead=dead)
        check_captures(given, sensors=self.info.architecture.sensors)
        lead, frame = given.shape[:-3], given.shape[-3:]
        flat, untouched = given.reshape(-1, *frame), raw.reshape(-1, *frame)
        good = torch.ones(frame) if bad is None else (~bad).float()
        parts, quality_flags = list[tuple[Tensor, ...]](), list[str]()
        batches = self._batches(flat, untouched, good, layers, tile_px, threads)
        for arrays, found, last_tile_px in batches:
            tile_px = last_tile_px
            parts.append(arrays)
            quality_flags += found
            if progress is not None:
                progress(len(quality_flags), len(flat))
        probability, presence, intensity, depth_um, depth_std_um, reprojection, filled, outlying = (
            (part[0] if len(part) == 1 else torch.cat(part)) for part in zip(*parts, strict=True)
        )
        said = describe_outlying(outlying)

        def array(values: Tensor) -> Float32Array:
            return values.reshape(*lead, *values.shape[1:]).detach().cpu().numpy()

        return Reconstruction(
            probability=array(probability),
            presence=array(presence),
            intensity=array(intensity),
            depth_um=array(depth_um),
            depth_std_um=array(depth_std_um),
            captures=array(filled).copy(),
            reprojection=array(reprojection),
            imager=self.imager,
            model=self.info.name,
            precision=self.precision_for(frame[-2], frame[-1], tile_px),
            good_pixels=None if bad is None else (~bad).cpu().numpy(),
            quality_flags=np.array(quality_flags, dtype=np.str_).reshape(lead),
            warnings=(*self.warnings, said) if said else self.warnings,
            focus_probability=self.info.focus_probability,
            guarantees=self.guarantees(layers),
        )

    def expect_many(self) -> None:
        """Prepare for many calls with few captures each, as when an instrument is followed.

        With the runtime `auto`, OpenVINO then computes small frames from the first call on, where
        it is installed and measured to be faster.
        """
        self._compiled.expects_many = True

    def guarantees(self, layers: int) -> Guarantees | None:
        """Return what holds of maps with so many layers, in the mean over captures.

        Args:
            layers: Greatest number of layers to look for.

        Returns:
            The guarantees; None if the model was calibrated for none (`calibrate_model`), or with
            another number of layers.
        """
        known = self.info.guarantees
        return known if known is not None and known.layers == layers else None

    def _read(
        self, paths: Path | str | Sequence[Path | str]
    ) -> tuple[Float32Array, tuple[str, ...], Float64Array | None]:
        """Read captures, and hold their pixels against the imager; their names and times."""
        with open_captures(paths, pixel_order=self.imager.pixel_order()) as series:
            check_pixel_size(series.pixel_size_um, self.imager)
            captures = series.read()
            time_s = None if series.time_s is None else np.array(series.time_s, np.float64)
            return captures[0] if series.is_single else captures, series.frame_names, time_s

    def _checked_layers(self, layers: int | None) -> int:
        most = self.info.architecture.layers
        if layers is None:
            return self.info.layers
        layers = whole_number(layers, "layers", error=FociscopeError)
        if not 1 <= layers <= most:
            raise FociscopeError(
                f"{self.info.name} separates 1 to {most} layer(s); got layers = {layers}"
            )
        return layers

    def precision_for(self, height: int, width: int, tile_px: int | None = None) -> str:
        """Return in what numbers frames of a size are computed, see `BFLOAT16_PIXELS`."""
        whole = height * width <= min(BFLOAT16_PIXELS, (tile_px or TILE_PX) ** 2)
        return self.precision if whole else "float32"

    def _folded_for(self, layers: int, precision: str) -> tuple[InferenceNet, OutputCalibration]:
        """Return the network as it is run to look for so many layers, and their calibration."""
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        if (layers, dtype) not in self._folded:
            network = InferenceNet(self.network, self._optics, layers, dtype)
            calibration = self.info.calibration.of_the_first(layers)
            self._folded[layers, dtype] = network, calibration
        return self._folded[layers, dtype]

    def _is_small(self, captures: Tensor) -> bool:
        """Return whether one thread computes a frame faster than several that wait for it."""
        pixels = captures.shape[-2:].numel()
        return self.device.type == "cpu" and pixels <= SMALL_FRAME_PIXELS

    def _batches(
        self, captures: Tensor, raw: Tensor, good: Tensor, layers: int, tile_px: int, threads: int
    ) -> Iterator[tuple[tuple[Tensor, ...], list[str], int]]:
        """Yield the arrays and suspicions of batch after batch, and the side of the tiles.

        The last two arrays are the captures with hot and dead pixels filled, and where they are.
        """

        def work(
            span: slice, tile_px: int, compiled: InferenceNet | None = None
        ) -> tuple[tuple[Tensor, ...], list[str], int]:
            filled, outlying = fill_outlying(captures[span])
            # What no light explains is no saturation either.
            untouched = torch.where(outlying, filled, raw[span])
            part = partial(self._batch, filled, untouched, good, layers, compiled=compiled)
            # The numbers are those of the model's precision, in whatever region this is called.
            with torch.autocast(self.device.type, enabled=False):
                (arrays, found), tile_px = with_smaller_tiles(part, tile_px)
            return (*arrays, filled, outlying), found, tile_px

        height, width = captures.shape[-2:]
        if self._is_small(captures):
            precision = self.precision_for(height, width, tile_px)
            network, _ = self._folded_for(layers, precision)
            compiled = self._compiled.of(network, captures)
            group = group_size(height * width, (compiled or network).dtype)
            spans = _spans(len(captures), height * width, threads, group)
            work_on = partial(work, tile_px=tile_px, compiled=compiled)
            yield from map_on_threads(work_on, spans, threads)
            return
        for span in _spans(len(captures), height * width):
            done = work(span, tile_px)
            tile_px = done[-1]
            yield done

    @torch.inference_mode()
    def _batch(
        self,
        captures: Tensor,
        raw: Tensor,
        good: Tensor,
        layers: int,
        tile_px: int,
        compiled: InferenceNet | None = None,
    ) -> tuple[tuple[Tensor, ...], list[str]]:
        """Reconstruct (batch, sensor, y, x): arrays of a `Reconstruction`, and its suspicions."""
        captures, raw, good = (t.to(self.device) for t in (captures, raw, good))
        imager = self.imager
        unit = light_unit(captures.amax(dim=(-2, -1), keepdim=True))
        captures = captures / unit
        precision = self.precision_for(captures.shape[-2], captures.shape[-1], tile_px)
        network, calibration = self._folded_for(layers, precision)
        network = compiled or network
        on_a = aligned(captures, imager.registration, pixel_pitch_um=imager.square_pitch_um)
        maps = captures.new_empty(2, len(captures), layers, *captures.shape[-2:])
        for y, x, output in in_tiles(network, on_a, tile_px):
            presence = calibration.presence(output)
            light, depth_um = light_and_depth(output, presence >= 0.5, captures, imager.gap_um)
            maps[0, ..., y, x] = calibration.probability(output)
            maps[1, ..., y, x] = light
        probability, intensity = maps
        depth_std = calibration.depth_std(output)
        depth_std_um = depth_std * imager.gap_um
        if self.refine_depth:
            self._refine_depths(on_a * unit, presence, depth_um, depth_std_um)
        seen = reproject(self._projector, intensity, depth_um, captures, good=good)
        quality_flags = [""] * len(captures)
        if self.info.out_of_distribution is not None:
            told = self._optics.expand(len(captures), -1)
            found = capture_statistics(captures, seen, told, good=good)
            found = found._replace(saturated=share_at_the_top(raw, good))
            if self.network.psf_width is not None:
                found = with_psf_mismatch(found, output.context, self.network.psf_width)
            # By the network's own deviations, which the check was fitted to.
            quality_flags = self._quality_flags(found, probability, presence, intensity, depth_std)
        if self.refine:
            intensity = refined_light(self._projector, intensity, depth_um, captures, good=good)
            seen = reproject(self._projector, intensity, depth_um, captures, good=good)
        # A network that meets one blazing pixel may restore more light than float32 can hold.
        intensity = (intensity * unit[:, :1]).clamp_(max=torch.finfo(torch.float32).max)
        seen = seen * unit
        arrays = probability, presence, intensity, depth_um, depth_std_um, seen
        return tuple(tensor.cpu() for tensor in arrays), quality_flags

    def _refine_depths(
        self, on_a: Tensor, presence: Tensor, depth_um: Tensor, depth_std_um: Tensor
    ) -> None:
        """Fit the depths of layers that are alone, in place, to captures on sensor A's pixels.

        These are in one unit for both sensors, whose gains the likelihood takes for equal.
        """
        alone = (presence >= 0.5).sum(dim=1) == 1
        if not alone.any():
            return
        found = depth_around(
            on_a[alone],
            self.imager.with_(registration=Registration()),
            depth_um[alone, 0],
            depth_std_um[alone, 0],
        )
        depth_um[alone, 0], depth_std_um[alone, 0] = (one.to(depth_um) for one in found)

    def _quality_flags(
        self,
        statistics: CaptureStatistics,
        probability: Tensor,
        presence: Tensor,
        intensity: Tensor,
        depth_std: Tensor,
    ) -> list[str]:
        """Describe what speaks against captures: by the map-quality check, if the model has one."""
        limits, check = self.info.out_of_distribution, self.info.map_quality
        assert limits is not None
        if check is None:
            return limits.quality_flags(statistics)
        terms = map_terms(probability, presence, intensity, depth_std, statistics)
        wrong = check.quality_flags(terms, statistics, gap_um=self.imager.gap_um)
        # Far beyond all that the check was fitted to, its probability means nothing.
        foreign = limits.foreign(statistics)
        return [text or other for text, other in zip(wrong, foreign, strict=True)]


def _spans(captures: int, pixels: int, threads: int = 1, group: int = 1) -> list[slice]:
    """Divide captures of so many pixels into batches, of one size for each of several threads.

    Several threads' batches are whole groups of `group` captures, which go through the network
    together, so that no digit hangs on the number of threads.
    """
    most = max(1, BATCH_PIXELS // pixels)
    if threads > 1:
        each = -(-captures // (group * threads)) * group
        most = max(group, min(most // group * group, each))
    return [slice(start, start + most) for start in range(0, captures, most)]


def _checked_tile(tile_px: int | None) -> int:
    if tile_px is None:
        return TILE_PX
    tile_px = whole_number(tile_px, "tile_px", error=FociscopeError)
    if tile_px < LEAST_TILE_PX:
        raise FociscopeError(f"tiles need at least {LEAST_TILE_PX} pixels; got tile_px = {tile_px}")
    return tile_px


def load_model(
    name_or_path: str | Path,
    *,
    imager: Imager | Path | str | None = None,
    device: str = "auto",
    refine: bool = False,
    refine_depth: bool = False,
    precision: Precision = "auto",
    runtime: Runtime = "auto",
) -> Model:
    """Load a shipped model by its name, or one of your own by its path.

    Args:
        name_or_path: Name such as `layers-ab`, or path of a `.safetensors` file that training has
            written.
        imager: Instrument of the captures, or path of its TOML file; the one around which the model
            was trained by default.
        device: `auto`, `cpu`, `cuda` or `mps`.
        refine: Whether to fit the restored light to the captures (`refined_light`), for less error
            of the intensity at several times the time. Masks and depths do not change.
        refine_depth: Whether to fit the depth of a layer that is alone to the captures of both
            sensors of equal gain (`fociscope.solvers.depth_around`), for a few um of error
            with a calibrated imager, at many times the time. Masks do not change.
        precision: `float32`, or `bfloat16`, which is as accurate and faster on processors with
            matrix units for it and slower on all others; `auto` takes the faster one. Large frames
            (`BFLOAT16_PIXELS`) are always computed in float32.
        runtime: What computes small frames on a CPU: `torch`; `openvino`, which has to be installed
            (extra `fast`); `auto` takes OpenVINO where it is installed, for many captures in one
            call (192 of 51x51 pixels) or after `Model.expect_many`, if it is measured to be faster
            here and to compute the same.

    Returns:
        The model, on the device.

    Raises:
        ModelError: If there is no such model, or if its file is damaged.
        ImagerError: If the imager has another number of sensors than the model.
        FociscopeError: If there is no such device or precision, or if the depth shall be fitted to
            the captures of a single sensor.

    Examples:
        >>> import fociscope
        >>> model = fociscope.load_model("layers-ab")
        >>> model.info.name, model.info.layers
        ('layers-ab', 4)
    """
    if not isinstance(name_or_path, str | PathLike):
        raise ModelError(
            f"expected a model's name or path, got {type(name_or_path).__name__}; name one",
            fields=("model",),
        )
    if not isinstance(imager, Imager | str | PathLike | None):
        raise ImagerError(
            f"expected an imager, or the path of its file, got {type(imager).__name__}; give one",
            fields=("imager",),
        )
    network, info = read_model(find_model(name_or_path))
    if isinstance(imager, str | PathLike):
        imager = Imager.load(imager)
    imager = imager or info.imager
    found = check_imager(imager, info)
    where = pick_device(device)
    return Model(
        network,
        info,
        imager=imager,
        device=where,
        refine=refine,
        refine_depth=refine_depth,
        precision=precision,
        runtime=runtime,
        warnings=tuple(found),
    )
