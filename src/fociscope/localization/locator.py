"""From captures to emitters: the number by the data, places by maximum likelihood."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch

from fociscope.arrays import ArrayLike, as_tensor, without_autocast
from fociscope.errors import CaptureError, FociscopeError, ImagerError
from fociscope.imager import Imager
from fociscope.localization._background import SmoothBackground
from fociscope.localization._detect import FilterBank
from fociscope.localization._fit import EmitterFit
from fociscope.localization._joint import JointFit, components, search_jointly
from fociscope.localization._noise import NoiseModel, noise_of_pixels
from fociscope.localization._response import EmitterResponse
from fociscope.localization._search import penalty, search
from fociscope.localization._weights import ResponseError
from fociscope.localization.emitters import COLUMNS, Emitters
from fociscope.typing import BoolArray, Float64Array, Progress

__all__ = ["MODEL_ERROR", "MOST_EMITTERS", "Background", "Locator", "locate_captures"]

#: Light beside the emitters.
Background = Literal["even", "smooth"]

#: Standard deviation of an imager's description, as a share of the light.
MODEL_ERROR = 0.002
MOST_EMITTERS = 60
#: Columns that an emitter which stands still has in all frames alike.
OF_PLACE = ("x_um", "y_um", "depth_um", "x_std_um", "y_std_um", "depth_std_um", "probability")
#: Frames by which the noise of a short series is found, and those from which on their changes
#: tell it.
NOISE_FRAMES, MANY_FRAMES = 5, 20


def default_model_error(imager: Imager) -> float:
    """Return what an imager is wrong by at each pixel: its unevenness, and at least 0.2 %.

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization.locator import default_model_error
        >>> default_model_error(Imager.reference())
        0.002
    """
    return max(MODEL_ERROR, imager.camera.prnu)


class Locator:
    r"""Finds point emitters in captures of one imager.

    A matched filter bank over depth proposes emitters; all are fitted together, off the grid, with
    a background per sensor, by maximum likelihood under the capture's own noise (dark noise and
    shot noise, found by the roughness of the residuals). An emitter stays if it raises the
    log-likelihood by more than half of the Bayesian information criterion's penalty,

    $$ \Delta \ln L > \tfrac{4}{2} \ln N $$

    for four parameters and $N$ pixels (Schwarz, Ann. Statist. 6:461, 1978).

    Examples:
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import Locator
        >>> Locator(Imager.reference(), (51, 51)).depth_range_um
        (20.0, 980.0)
    """

    def __init__(
        self,
        imager: Imager,
        frame_px: tuple[int, int],
        *,
        model_error: float | None = None,
        most: int = MOST_EMITTERS,
        noise: NoiseModel | None = None,
        background: Background = "even",
    ) -> None:
        """Prepare for captures of an imager.

        Args:
            imager: Imager that takes the captures.
            frame_px: (y, x) pixels of a capture.
            model_error: Standard deviation of what the imager's description is wrong by at each
                pixel for itself, as a share of the light; None for that of the imager
                (`default_model_error`). What a measured response is wrong by alike at like angles
                is the PSF's, `response_error`.
            most: Emitters per capture at most.
            noise: Variance by light; None to find it in each capture.
            background: `even` over each sensor, or `smooth`, which is found beside the emitters: a
                Gaussian process of the capture's own size and scale.

        Raises:
            ImagerError: If the frame is too large, or a number is out
                of its range.
            FociscopeError: If the background is neither of both.
        """
        model_error = default_model_error(imager) if model_error is None else model_error
        if not 0 <= model_error < 1:
            raise ImagerError(f"model_error must lie within 0 to 1; got {model_error:g}")
        if most < 1:
            raise ImagerError(f"most must be at least 1 emitter; got {most}")
        self.imager, self.frame_px = imager, frame_px
        self._response = EmitterResponse(imager, frame_px)
        self._bank = FilterBank(self._response)
        self._error = ResponseError(imager, frame_px) if imager.psf.response_error[0] else None
        if background not in get_args(Background):
            raise FociscopeError(f"background must be even or smooth; got {background!r}")
        self._background = SmoothBackground(imager, frame_px) if background == "smooth" else None
        self._model_error, self._most, self._noise = model_error, most, noise

    @property
    def model_error(self) -> float:
        """Standard deviation of the imager's error at each pixel, as a share of the light."""
        return self._model_error

    @property
    def depth_range_um(self) -> tuple[float, float]:
        """Least and greatest depth of an emitter, in um."""
        return self._response.depth_range_um

    @without_autocast
    def locate(
        self,
        captures: ArrayLike,
        *,
        bad_pixels: BoolArray | None = None,
        subtracted: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> Emitters:
        """Return the emitters of each capture.

        Args:
            captures: (..., sensor, y, x) in any unit of light, all leading axes counted as one.
            bad_pixels: (sensor, y, x) True where a pixel is not used.
            subtracted: (sensor, y, x) light that was subtracted from them as dark: its noise has
                stayed. None for none.
            progress: Function called with the number of captures done and their total.

        Raises:
            CaptureError: If captures have another shape than the imager, or hold no numbers.
        """
        frames = self._checked(captures)
        used, dark = self._used(frames, bad_pixels), _flat(subtracted, frames)
        parts = []
        for number, capture in enumerate(frames):
            parts.append(self._of_one(capture.reshape(-1), used, dark))
            if progress is not None:
                progress(number + 1, len(frames))
        return Emitters.joined(parts)

    def locate_jointly(
        self,
        captures: ArrayLike,
        *,
        bad_pixels: BoolArray | None = None,
        subtracted: ArrayLike | None = None,
    ) -> Emitters:
        r"""Return emitters that stand still over all captures; their light may change.

        A place is fitted to all captures together, so its deviation falls as the root of their
        number, down to what the imager is wrong by. Emitters whose images overlap are told apart by
        how they blink, unless the PSF is a measured response with a `table_error`: then those of
        the mean are fitted, and their light in every frame. An emitter has as many lights as the
        captures have components above noise, and has to explain half of the information criterion's
        penalty for these and its place.

        Args:
            captures: (frame, sensor, y, x) in any unit of light.
            bad_pixels: (sensor, y, x) True where a pixel is not used.
            subtracted: (sensor, y, x) light that was subtracted from them as dark.

        Returns:
            All emitters in every frame, in one order, at one place, with the frame's brightness,
            which is 0 or below where an emitter is dark.

        Raises:
            CaptureError: If captures have another shape than the imager, or hold no numbers.

        Examples:
            >>> import numpy as np
            >>> from fociscope.imager import Imager
            >>> from fociscope.localization import EmitterResponse, Locator
            >>> imager = Imager.reference()
            >>> light, _ = EmitterResponse(imager, (40, 40))(np.array([[900.0, 950.0, 300.0]]))
            >>> blinking = np.array([1.0, 0.0, 0.5, 1.0])[:, None, None, None]
            >>> noise = np.random.default_rng(0).normal(0, 1e-5, (4, 2, 40, 40))
            >>> frames = blinking * light.reshape(2, 40, 40) + noise
            >>> found = Locator(imager, (40, 40)).locate_jointly(frames)
            >>> len(found), (found.brightness / found.brightness[0]).round(1).tolist()
            (4, [1.0, 0.0, 0.5, 1.0])
        """
        frames = self._checked(captures)
        used, dark = self._used(frames, bad_pixels), _flat(subtracted, frames)
        pixels = frames.reshape(len(frames), -1)
        unit = float(np.abs(pixels[:, used]).max()) or 1.0
        pixels, dark = pixels / unit, None if dark is None else dark / unit
        mean = pixels.mean(0)
        noise = replace(self._noise_of_frames(pixels, used, unit), subtracted=dark)
        own = replace(noise, model_error=0.0).variance(mean - np.percentile(mean[used], 20))
        turned, left_over = components(pixels, used, own)
        if self._noise is None and len(pixels) >= MANY_FRAMES:  # by what changes at random
            sensors = self.imager.sensors
            noise = noise_of_pixels(mean, left_over, used, sensors, self._model_error)
        first = self._searched(mean, used, dark, noise.of_mean(len(frames)))[0]
        if self._error is not None:
            still = JointFit.of_mean(first, len(frames), penalty(int(used.sum())))
            return self._table_of_frames(still, pixels, used, noise, unit)
        fit = search_jointly(
            self._response,
            self._bank,
            turned,
            used,
            noise,
            first.place_um,
            len(frames),
            self._most,
        )
        return self._table_of_frames(fit, pixels, used, noise, unit)

    def _noise_of_frames(self, pixels: Float64Array, used: BoolArray, unit: float) -> NoiseModel:
        """Return the noise of a frame, by the medians of a few."""
        if self._noise is not None:
            return self._noise.scaled(1 / unit)
        chosen = np.unique(np.linspace(0, len(pixels) - 1, NOISE_FRAMES).astype(int))
        found = [self._searched(pixels[n], used, None, None)[1] for n in chosen]
        return NoiseModel(
            np.median([one.floor for one in found], axis=0),
            np.median([one.per_light for one in found], axis=0),
            self._model_error,
        )

    def _table_of_frames(
        self,
        fit: JointFit,
        pixels: Float64Array,
        used: BoolArray,
        noise: NoiseModel,
        unit: float,
    ) -> Emitters:
        """Return every emitter in every frame, with the light that fits the frame best."""
        light, background, misfit = fit.lights_of(self._response, pixels, used, noise)
        count, frames = len(fit.place_um), len(pixels)
        brightness = light * self._landing(fit.place_um) * unit
        order = np.argsort(-brightness.sum(0))
        std = np.sqrt(np.einsum("eii->ei", fit.covariance()))
        odds = np.clip(fit.gains - fit.least, -50, 50)
        columns = (*fit.place_um.T, *std.T, 1 / (1 + np.exp(-odds)))
        places = {
            name: np.tile(np.asarray(column, np.float64)[order], frames)
            for name, column in zip(OF_PLACE, columns, strict=True)
        }
        return Emitters(
            frame=np.repeat(np.arange(frames, dtype=np.int64), count),
            **places,
            brightness=brightness[:, order].ravel(),
            background=background * unit,
            misfit=misfit,
        )

    def _landing(self, place_um: Float64Array) -> Float64Array:
        """Return (emitter,): the share of their light that lands on sensor A."""
        depth = torch.tensor(place_um[:, 2], dtype=torch.float64)
        landing = np.asarray(self.imager.psf.collection_efficiency(depth))
        return np.asarray(landing * self.imager.sensor_gains[0])

    def _used(self, frames: Float64Array, bad_pixels: BoolArray | None) -> BoolArray:
        """Return (pixel,) True where a pixel counts."""
        used = self._responding()
        if bad_pixels is not None:
            used &= ~np.broadcast_to(bad_pixels, frames.shape[1:]).reshape(-1)
        return used

    def _searched(
        self,
        capture: Float64Array,
        used: BoolArray,
        dark: Float64Array | None,
        noise: NoiseModel | None,
    ) -> tuple[EmitterFit, NoiseModel]:
        """Return the emitters of one capture (pixel,) and its noise."""
        return search(
            self._bank,
            capture,
            used,
            noise=noise,
            model_error=self._model_error,
            most=self._most,
            error=self._error,
            subtracted=dark,
            background=self._background,
        )

    def _responding(self) -> BoolArray:
        """Return (pixel,) True but for the pixels that the imager states as dead."""
        responding = np.ones((self.imager.sensors, *self.frame_px), bool)
        for pixel in self.imager.dead_pixels:
            responding[pixel] = False
        return responding.reshape(-1)

    def _checked(self, captures: ArrayLike) -> Float64Array:
        """Return (frame, sensor, y, x)."""
        array = np.asarray(as_tensor(captures).detach().cpu(), np.float64)
        shape = (self.imager.sensors, *self.frame_px)
        if array.shape == self.frame_px and self.imager.sensors == 1:
            array = array[None]
        if array.ndim < 3 or array.shape[-3:] != shape:
            raise CaptureError(
                f"captures of {self.imager.sensors} sensor(s) need the shape (..., {shape[0]}, "
                f"{shape[1]}, {shape[2]}); got {array.shape}"
            )
        if not np.isfinite(array).all():
            raise CaptureError("captures hold NaN or infinite pixels; name them as bad pixels")
        return array.reshape(-1, *shape)

    def _of_one(
        self, capture: Float64Array, used: BoolArray, dark: Float64Array | None
    ) -> Emitters:
        unit = float(np.abs(capture[used]).max()) or 1.0
        fit, _ = self._searched(
            capture / unit,
            used,
            None if dark is None else dark / unit,
            None if self._noise is None else self._noise.scaled(1 / unit),
        )
        pixels = int((fit.weights.diagonal > 0).sum())
        misfit = float(np.sqrt(fit.weights.squared(fit.residual(capture / unit)) / pixels))
        least = penalty(int(used.sum()), beside=self._background is not None)
        return self._table(fit, unit, least, misfit)

    def _table(self, fit: EmitterFit, unit: float, least: float, misfit: float) -> Emitters:
        """Return the fit as a table, brightness as the light that lands on sensor A."""
        count = len(fit.light)
        std = np.sqrt(np.einsum("eii->ei", fit.covariance())[:, :3]) if count else np.empty((0, 3))
        odds = np.clip(fit.gains() - least, -50, 50) if count else np.empty(0)
        brightness = fit.light * self._landing(fit.place_um) * unit
        order = np.argsort(-brightness)
        columns = (*fit.place_um.T, *std.T, brightness, 1 / (1 + np.exp(-odds)))
        named = zip(COLUMNS[1:], columns, strict=True)
        return Emitters(
            frame=np.zeros(count, np.int64),
            **{name: np.asarray(column, np.float64)[order] for name, column in named},
            background=fit.background[None] * unit,
            misfit=np.array([misfit]),
        )


def _flat(image: ArrayLike | None, frames: Float64Array) -> Float64Array | None:
    """Return (pixel,) an image that all frames have, None without one."""
    if image is None:
        return None
    array = np.asarray(as_tensor(image).detach().cpu(), np.float64)
    return np.broadcast_to(array, frames.shape[1:]).reshape(-1)


def locate_captures(
    captures: ArrayLike,
    imager: Imager,
    *,
    bad_pixels: BoolArray | None = None,
    model_error: float | None = None,
    most: int = MOST_EMITTERS,
    background: Background = "even",
    progress: Progress | None = None,
) -> Emitters:
    """Return the point emitters of captures in memory.

    Args:
        captures: (..., sensor, y, x) in any unit of light; (y, x) of sensor A alone.
        imager: Imager that took them.
        bad_pixels: (sensor, y, x) True where a pixel is not used.
        model_error: Standard deviation of what the imager's description is wrong by at each pixel,
            as a share of the light; None for the unevenness of its pixels, and at least 0.002.
        most: Emitters per capture at most.
        background: `even` over each sensor, or `smooth`: tissue that glows unevenly around few
            cells.
        progress: Function called with the number of captures done and their total.

    Returns:
        The emitters of all captures.

    Raises:
        CaptureError: If captures have another number of sensors than the imager, or hold no
            numbers.
        ImagerError: If the frame is too large, or a number is out of its range.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Imager
        >>> from fociscope.localization import locate_captures
        >>> imager = Imager.reference().with_(frame_px=(40, 40))
        >>> light = imager.pixel_response(np.array([[900.0, 700.0, 350.0]]))[0]
        >>> noise = np.random.default_rng(0).normal(0, 1e-5, light.shape)
        >>> emitters = locate_captures(light + noise, imager)
        >>> round(float(emitters.depth_um[0]), -1)
        350.0
    """
    height, width = np.shape(captures)[-2:] if np.ndim(captures) >= 2 else (1, 1)
    locator = Locator(
        imager, (height, width), model_error=model_error, most=most, background=background
    )
    return locator.locate(captures, bad_pixels=bad_pixels, progress=progress)
