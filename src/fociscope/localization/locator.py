"""From captures to emitters: the number by the data, places by maximum likelihood."""

from __future__ import annotations

import numpy as np
import torch

from fociscope.arrays import ArrayLike, as_tensor, without_autocast
from fociscope.errors import CaptureError, ImagerError
from fociscope.imager import Imager
from fociscope.localization._detect import FilterBank
from fociscope.localization._fit import EmitterFit, NoiseModel
from fociscope.localization._response import EmitterResponse
from fociscope.localization._search import penalty, search
from fociscope.localization._weights import ResponseError
from fociscope.localization.emitters import COLUMNS, Emitters
from fociscope.typing import BoolArray, Float64Array, Progress

__all__ = ["MODEL_ERROR", "MOST_EMITTERS", "Locator", "locate_captures"]

#: Standard deviation of an imager's description, as a share of the light.
MODEL_ERROR = 0.002
MOST_EMITTERS = 60


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

        Raises:
            ImagerError: If the frame is too large, or a number is out
                of its range.
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
        used = self._responding()
        if bad_pixels is not None:
            used &= ~np.broadcast_to(bad_pixels, frames.shape[1:]).reshape(-1)
        dark = None
        if subtracted is not None:
            dark = np.asarray(as_tensor(subtracted).detach().cpu(), np.float64)
            dark = np.broadcast_to(dark, frames.shape[1:]).reshape(-1)
        parts = []
        for number, capture in enumerate(frames):
            parts.append(self._of_one(capture.reshape(-1), used, dark))
            if progress is not None:
                progress(number + 1, len(frames))
        return Emitters.joined(parts)

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
        fit, _ = search(
            self._response,
            self._bank,
            capture / unit,
            used,
            noise=None if self._noise is None else self._noise.scaled(1 / unit),
            model_error=self._model_error,
            most=self._most,
            error=self._error,
            subtracted=None if dark is None else dark / unit,
        )
        pixels = int((fit.weights.diagonal > 0).sum())
        misfit = float(np.sqrt(fit.weights.squared(fit.residual(capture / unit)) / pixels))
        return self._table(fit, unit, penalty(int(used.sum())), misfit)

    def _table(self, fit: EmitterFit, unit: float, least: float, misfit: float) -> Emitters:
        """Return the fit as a table, brightness as the light that lands on sensor A."""
        count = len(fit.light)
        std = np.sqrt(np.einsum("eii->ei", fit.covariance())[:, :3]) if count else np.empty((0, 3))
        odds = np.clip(fit.gains() - least, -50, 50) if count else np.empty(0)
        depth = torch.tensor(fit.place_um[:, 2], dtype=torch.float64)
        landing = np.asarray(self.imager.psf.collection_efficiency(depth))
        brightness = fit.light * landing * self.imager.sensor_gains[0] * unit
        order = np.argsort(-brightness)
        columns = (*fit.place_um.T, *std.T, brightness, 1 / (1 + np.exp(-odds)))
        named = zip(COLUMNS[1:], columns, strict=True)
        return Emitters(
            frame=np.zeros(count, np.int64),
            **{name: np.asarray(column, np.float64)[order] for name, column in named},
            background=fit.background[None] * unit,
            misfit=np.array([misfit]),
        )


def locate_captures(
    captures: ArrayLike,
    imager: Imager,
    *,
    bad_pixels: BoolArray | None = None,
    model_error: float | None = None,
    most: int = MOST_EMITTERS,
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
    locator = Locator(imager, (height, width), model_error=model_error, most=most)
    return locator.locate(captures, bad_pixels=bad_pixels, progress=progress)
