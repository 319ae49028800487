"""One design: the numbers of a chip that can be chosen, and the imager they make."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from fociscope.errors import ImagerError
from fociscope.imager import AngleSelectivePsf

if TYPE_CHECKING:
    from fociscope.imager import Imager

__all__ = ["PARAMETERS", "Hold", "ImagerDesign", "square_pixels"]

#: What may vary, in the order of the columns; and the unit of each.
PARAMETERS: dict[str, str] = {
    "pixel_pitch_um": "µm",
    "fill_factor": "",
    "half_angle_deg": "°",
    "base_blur_um": "µm",
    "gap_um": "µm",
    "exposure_s": "s",
    "sensors": "",
}
Hold = Literal["pixels", "field"]
"""What designs of another pitch share with the base: the number of pixels, or the field of view."""


@dataclass(frozen=True)
class ImagerDesign:
    """The numbers of a chip that a design study varies.

    Attributes:
        pixel_pitch_um: Side of a square pixel in um.
        fill_factor: Share of a pixel's area that is sensitive, above 0 to 1.
        half_angle_deg: Angle in degrees at which the grating passes half of the light.
        base_blur_um: Standard deviation in um of the blur that is there at any distance.
        gap_um: From sensor A to sensor B in um; of one sensor, the greatest depth.
        exposure_s: Exposure in seconds.
        sensors: 1 or 2.

    Examples:
        >>> from fociscope.design import ImagerDesign
        >>> from fociscope.imager import Imager
        >>> design = ImagerDesign.of(Imager.reference())
        >>> design.pixel_pitch_um, design.half_angle_deg, design.sensors
        (55.0, 18.0, 2)
    """

    pixel_pitch_um: float
    fill_factor: float
    half_angle_deg: float
    base_blur_um: float
    gap_um: float
    exposure_s: float
    sensors: int

    @classmethod
    def of(cls, imager: Imager) -> ImagerDesign:
        """Return the numbers of an imager.

        Args:
            imager: Imager of square pixels behind one grating with a half angle.

        Returns:
            Its numbers.

        Raises:
            ImagerError: If its pixels are not square, or its PSF has no half angle.
        """
        psf = imager.psf
        if not isinstance(psf, AngleSelectivePsf) or psf.table:
            kind = "tabulated" if isinstance(psf, AngleSelectivePsf) else psf.kind
            raise ImagerError(
                f"imager {imager.name!r} has a PSF of kind {kind}, which has no half angle "
                "to design; take one of kind angle-selective as the base"
            )
        return cls(
            pixel_pitch_um=float(imager.square_pitch_um),
            fill_factor=psf.fill_factor,
            half_angle_deg=psf.half_angle_deg,
            base_blur_um=psf.base_blur_um,
            gap_um=float(imager.gap_um),
            exposure_s=float(imager.camera.exposure_s),
            sensors=imager.sensors,
        )

    def imager(self, base: Imager, hold: Hold = "pixels") -> Imager:
        """Return the imager of this design.

        Args:
            base: Imager that has all other numbers, such as its grating's shape and its camera.
            hold: `pixels` for as many pixels as the base, `field` for its field of view.

        Returns:
            The imager; its sensors are aligned and its pixels alike.

        Raises:
            ImagerError: If a number is out of its range.

        Examples:
            >>> from fociscope.design import ImagerDesign
            >>> from fociscope.imager import Imager
            >>> base = Imager.reference()
            >>> design = ImagerDesign(33.0, 1.0, 18.0, 0.0, 1000.0, 0.05, 2)
            >>> design.imager(base, "field").frame_px
            (85, 85)
        """
        frame_px = base.frame_px
        if hold == "field":
            pitch_um = base.square_pitch_um
            rows, columns = (
                max(1, round(side * pitch_um / self.pixel_pitch_um)) for side in base.frame_px
            )
            frame_px = rows, columns
        return base.with_(
            name=f"{base.name}-design",
            pixel_pitch_um=self.pixel_pitch_um,
            frame_px=frame_px,
            psf=base.psf.with_(
                half_angle_deg=self.half_angle_deg,
                base_blur_um=self.base_blur_um,
                fill_factor=self.fill_factor,
            ),
            gap_um=self.gap_um,
            sensors=self.sensors,
            dead_pixels=(),
            registration=type(base.registration)(),
            camera={**base.camera.model_dump(), "exposure_s": self.exposure_s},
        )

    def numbers(self) -> dict[str, float]:
        """Return the name and value of each number, in the order of `PARAMETERS`."""
        return asdict(self)


def square_pixels(imager: Imager) -> Imager:
    """Return an imager with square pixels of the same area where its own are oblong.

    The networks are trained on square pixels, so a study of such a chip begins with these.

    Args:
        imager: Imager of any plain pixels.

    Returns:
        The imager itself if its pixels are square.
    """
    y, x = imager.pitch_um
    return imager if y == x else imager.with_(pixel_pitch_um=math.sqrt(y * x))
