"""The problem without a frame: circular, so that every frequency is solved for on its own.

For `reflect` and even kernels it is the frame's own problem: the mirror images around the frame
make A diagonal in the frame's cosines (DCT-II). For `zero` the captures are taken to be dark beyond
the frame, and tissue may lie there: the frame's own problem knows neither. Where kernels are uneven
or sensor B is displaced, mirrored captures are not quite those of mirrored tissue, an error within
a kernel's reach of the edges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from scipy.fft import next_fast_len
from torch import Tensor

from fociscope.configuration import Configuration
from fociscope.errors import FociscopeError, SolverError
from fociscope.imager import Imager
from fociscope.imager.projection import Projection
from fociscope.solvers._operators import (
    Operator,
    ProjectedOperator,
    SpectralOperator,
    transfer_with_gains,
)

__all__ = ["Circular", "LayerSpectrum", "circular_of"]

Length = Annotated[float, Field(gt=0, le=100_000)]


class LayerSpectrum(Configuration):
    r"""The power spectrum of a layer: foci of cells, and the cells in them.

    With the share $s$ of the foci, their length $L$ and the length $d$ of cells, the power density
    at the frequency $f$ is

    $$ P(f) = s \, \frac{2 \pi L^2}{(1 + (2 \pi L f)^2)^{3/2}}
       + (1 - s) \, \frac{d^2}{\pi} e^{-d^2 f^2}. $$

    The defaults fit the mean spectrum of the default specimens (`PerlinFoci`) at 55 um pitch.

    Examples:
        >>> import torch
        >>> from fociscope.solvers import LayerSpectrum
        >>> power = LayerSpectrum(foci_share=0.5).power(torch.tensor([0.0, 1e-4]))
        >>> bool(power[0] > power[1])
        True
    """

    error: ClassVar[type[FociscopeError]] = SolverError

    foci_um: Length = 385.0
    """Length at which the correlation of exponentially correlated foci falls to 1/e."""
    foci_share: Annotated[float, Field(ge=0, le=1)] = 0.32
    """Of the variance; the cells have the rest."""
    cell_um: Length = 144.0
    """The cells' spectrum is exp(-(f * cell_um)^2)."""

    def power(self, frequency2_per_um2: Tensor) -> Tensor:
        """Return the relative power density at squared frequencies (cycles/um)^2."""
        foci_um2, cell_um2 = (2 * torch.pi * self.foci_um) ** 2, self.cell_um**2
        # Both integrate to 1 over the plane of frequencies.
        foci = (1 + foci_um2 * frequency2_per_um2) ** -1.5 * foci_um2 / (2 * torch.pi)
        cells = torch.exp(-cell_um2 * frequency2_per_um2) * cell_um2 / torch.pi
        return self.foci_share * foci + (1 - self.foci_share) * cells


@dataclass(frozen=True)
class Circular:
    """Transfer functions, and the way from images to coefficients that they multiply."""

    transfer: Tensor
    """(scene, layer, sensor, ky, kx), real or complex; one scene's where all have the same."""
    analysed: Callable[[Tensor], Tensor]
    """(..., y, x) -> (..., ky, kx); sums of squares times `count` are kept."""
    synthesised: Callable[[Tensor], Tensor]
    """(..., ky, kx) -> (..., y, x), the frame's part."""
    count: Tensor
    """(ky, kx) how many orthonormal coefficients each one stands for."""
    frequency2_per_px2: Tensor
    """(ky, kx) squared frequency in (cycles/column)^2."""

    def prior(self, spectrum: LayerSpectrum | None, pixel_pitch_um: float) -> Tensor | None:
        """Return (ky, kx): the expected power of a layer's coefficients, 1 on average.

        Args:
            spectrum: Power density of layers; None for none.
            pixel_pitch_um: Distance from column to column.
        """
        if spectrum is None:
            return None
        power = spectrum.power(self.frequency2_per_px2 / pixel_pitch_um**2)
        return power * self.count.sum() / (power * self.count).sum()


def circular_of(operator: Operator, imager: Imager) -> Circular:
    """Return the circular problem of an operator.

    Raises:
        SolverError: sensor B is turned or scaled, so that A is no convolution.
    """
    mirrored = imager.boundary == "reflect"
    if isinstance(operator, SpectralOperator):
        transfer = operator.transfer
        f_y, f_x = (f.to(transfer) for f in operator.frequencies_per_px(mirrored))
        return Circular(
            transfer=transfer,
            analysed=operator.analysed,
            synthesised=operator.synthesised,
            count=torch.ones_like(transfer[0, 0, 0]),
            frequency2_per_px2=(f_y[:, None] * _rows_to_columns(imager)) ** 2 + f_x**2,
        )
    assert isinstance(operator, ProjectedOperator)
    return _by_fft(operator.projection, mirrored)


def _rows_to_columns(imager: Imager) -> float:
    """Return columns per row: 1 for square pixels."""
    return imager.pitch_um[1] / imager.pitch_um[0]


def _by_fft(projection: Projection, mirrored: bool) -> Circular:
    if projection.resampling is not None:
        raise SolverError(
            "sensor B is turned or scaled, so that frequencies mix and there is no closed form; "
            "use fista, or bring B's captures to A's pixels first"
        )
    height, width = projection.frame_px
    grid_y, grid_x = (
        2 * n if mirrored else int(next_fast_len(n + projection.radius_px, real=True))
        for n in (height, width)
    )

    def analysed(images: Tensor) -> Tensor:
        if mirrored:
            images = torch.cat([images, images.flip(-1)], dim=-1)
            images = torch.cat([images, images.flip(-2)], dim=-2) / 2
        found: Tensor = torch.fft.rfft2(images, s=(grid_y, grid_x), norm="ortho")
        return found

    def synthesised(coefficients: Tensor) -> Tensor:
        images: Tensor = torch.fft.irfft2(coefficients, s=(grid_y, grid_x), norm="ortho")
        return images[..., :height, :width] * (2 if mirrored else 1)

    beside = projection.distance_um
    f_y = torch.fft.fftfreq(grid_y).to(beside)
    f_x = torch.fft.rfftfreq(grid_x).to(beside)
    count = torch.full((len(f_y), len(f_x)), 2.0).to(beside)
    count[:, 0] = 1
    if grid_x % 2 == 0:
        count[:, -1] = 1
    return Circular(
        transfer=transfer_with_gains(projection, (grid_y, grid_x)),
        analysed=analysed,
        synthesised=synthesised,
        # Of four mirror images three say nothing new.
        count=count / 4 if mirrored else count,
        frequency2_per_px2=(f_y[:, None] * _rows_to_columns(projection.imager)) ** 2 + f_x**2,
    )
