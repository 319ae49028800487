"""What locating has in common for files that are there and for captures as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fociscope.errors import CaptureError, FociscopeWarning, printable
from fociscope.figures.emitters import draw_emitters
from fociscope.files import atomic_path, write_ome_tiff
from fociscope.files.safe.disk import remove
from fociscope.imager.geometry import Imager
from fociscope.localization import Emitters, Locator, link_emitters
from fociscope.localization.tracks import require_laptrack
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.results.emitters import (
    RENDERING,
    TRACKS_TABLE,
    EmitterCounts,
    count_emitters,
    read_emitters,
    write_tracks,
)
from fociscope.results.provenance import imager_sha256, versions
from fociscope.results.writers import FIGURE
from fociscope.series.folder import EmittersFolder
from fociscope.series.series import correction_digest
from fociscope.typing import Float32Array
from fociscope.workflows._loading import data_set_imager, named_imager
from fociscope.workflows._locate_options import LocateOptions
from fociscope.workflows._outcome import MOST_NAMED

__all__ = ["ADVICE", "Locating", "locate_part", "located_imager", "rendered"]

#: Planes of the rendering, and its spot's standard deviation in pixels.
RENDERED_STEP_UM, SPOT_PX = 50.0, 0.6
#: Of captures that emitters do not explain.
ADVICE = (
    "dense tissue is for fociscope.reconstruct; if there are but a few emitters, the light beside "
    "them varies (a smooth background is to be asked for), the imager's description does not fit, "
    "or a larger model error is to be stated"
)


def located_imager(
    options: LocateOptions, paths: Sequence[Path], sensors: int, frame_px: tuple[int, int]
) -> tuple[Imager, tuple[str, ...]]:
    """Return the imager for captures, and a note where nobody named it.

    Args:
        options: Options of the run.
        paths: Paths of the captures.
        sensors: Their number of sensors.
        frame_px: (y, x) size of the captures before the crop, pixels.

    Raises:
        CaptureError: If the captures have a sensor that the imager has not.
    """
    imager = named_imager(options.of_captures)
    notes: tuple[str, ...] = ()
    if imager is None:
        imager = data_set_imager(paths)
        source = "that of the data set" if imager is not None else "the reference imager"
        notes = (f"no imager is named: {source} is taken.",)
    imager = imager or Imager.reference()
    if imager.sensors < sensors:
        raise CaptureError(
            f"the captures are of {sensors} sensors, the imager {imager.name!r} has one; name the "
            "imager of both, or give sensor A's images alone",
            fields=("imager",),
        )
    crop = options.preparation.crop
    if crop is not None:
        imager = imager.cropped(*crop, of=frame_px)
    return imager.with_(sensors=sensors, frame_px=options.preparation.frame_px(frame_px)), notes


@dataclass
class Locating:
    """One run: imager, options and correction, and the locator that they make."""

    imager: Imager
    options: LocateOptions
    correction: ChipCorrection | None

    def __post_init__(self) -> None:
        """Prepare the locator."""
        options = self.options
        if options.track:
            require_laptrack()  # before the work
        self._locator = Locator(
            self.imager,
            self.imager.frame_px,
            model_error=options.model_error,
            most=options.most,
            background=options.background,
        )

    @property
    def identity(self) -> dict[str, str]:
        """What the results depend on, the captures apart."""
        return {
            "kind of results": "emitters",
            "imager": imager_sha256(self.imager),
            "chip correction": correction_digest(self.correction),
            "number of emitters at most": str(self.options.most),
            "model error": f"{self._locator.model_error:g}",
            "preparation": self.options.preparation.model_dump_json(),
            **({"joint": "true"} if self.options.joint else {}),
            **({"background": "smooth"} if self.options.background == "smooth" else {}),
            "version": f"fociscope {versions()['fociscope']}",
        }

    def corrected(self, captures: Float32Array) -> tuple[Float32Array, np.ndarray | None]:
        """Return captures (frame, sensor, y, x) without the chip's pattern, and bad pixels."""
        if self.correction is None:
            return captures, None
        corrected, bad = self.correction(torch.from_numpy(captures))
        return corrected.numpy(), bad.numpy()

    def located(self, captures: Float32Array) -> Emitters:
        """Return the emitters of captures (frame, sensor, y, x)."""
        return self._located(self._locator.locate, captures)

    def located_jointly(self, captures: Float32Array) -> Emitters:
        """Return emitters that stand still in all captures (frame, sensor, y, x)."""
        return self._located(self._locator.locate_jointly, captures)

    def _located(self, way: Callable[..., Emitters], captures: Float32Array) -> Emitters:
        corrected, bad = self.corrected(captures)
        dark = None if self.correction is None else self.correction.dark_light
        return way(corrected, bad_pixels=bad, subtracted=dark)

    def part(self, captures: Float32Array, first: int, names: Sequence[str]) -> Emitters:
        """Return the emitters of some frames of a series; an error names the first of them.

        Args:
            captures: (frame, sensor, y, x).
            first: number of the first frame, from 0.
            names: of the frames, if they have any.
        """
        try:
            return self.located(captures)
        except CaptureError as error:
            name = f" ({printable(names[0])})" if names else ""
            raise CaptureError(
                f"frame {first + 1}{name}: {error}", fields=error.fields, value=error.value
            ) from None

    def draw_first(self, folder: Path, emitters: Emitters, raw: Float32Array, title: str) -> None:
        """Write the figure and the rendering of the first capture (sensor, y, x)."""
        capture = self.corrected(raw[None])[0][0]
        with atomic_path(folder / FIGURE, overwrite=True) as part:
            draw_emitters(emitters, capture, self.imager, title).savefig(part, format="png")
        if not self.imager.has_plain_pixels:  # OME-TIFF knows one size of pixels along x and y here
            return
        depth_um = np.arange(0.0, self.imager.gap_um + 1e-6, RENDERED_STEP_UM)
        write_ome_tiff(
            folder / RENDERING,
            rendered(emitters, self.imager, depth_um),
            pixel_pitch_um=self.imager.square_pitch_um,
            depth_um=depth_um,
            channel_name="light",
            overwrite=True,
        )

    def files(self, folder: EmittersFolder) -> tuple[Path, ...]:
        """Return the files of a run that is complete."""
        names = (
            *((TRACKS_TABLE,) if self.options.track else ()),
            *((RENDERING,) if self.imager.has_plain_pixels else ()),
            FIGURE,
        )
        return (*folder.files, *(folder.folder / name for name in names))

    def linked(self, folder: EmittersFolder) -> dict[str, Any]:
        """Write `tracks.csv` if tracks are asked for, and return what the summary says of them.

        Tracks of an earlier run, which lack the frames since, are removed otherwise.
        """
        options = self.options
        if not options.track:
            remove(folder.folder / TRACKS_TABLE)
            return {}
        emitters = read_emitters(folder.folder)
        track = link_emitters(
            emitters, most_speed_um=options.most_speed_um, most_gap=options.most_gap
        )
        count = write_tracks(folder.folder, emitters, track)
        return {
            "tracks": count,
            "most_speed_um": options.most_speed_um,
            "most_gap": options.most_gap,
            "laptrack": version("laptrack"),
        }

    def about(self, folder: EmittersFolder) -> tuple[dict[str, Any], EmitterCounts]:
        """Return the entries of the summary, and what they count."""
        counts = count_emitters(folder.folder, MOST_NAMED)
        return {
            "kind": "emitters",
            "frames": folder.frames,
            "emitters": counts.emitters,
            "emitters_per_frame": {"least": counts.least, "most": counts.most},
            "explained_frames": counts.explained,
            "median_misfit": round(counts.median_misfit, 4),
            "imager": self.imager.model_dump(mode="json", exclude_none=True),
            "most": self.options.most,
            "model_error": self._locator.model_error,
            "background": self.options.background,
            "joint": self.options.joint,
            **self.linked(folder),
            **versions(),
            "imager_sha256": imager_sha256(self.imager),
        }, counts

    def warnings(self, frames: int, counts: EmitterCounts) -> tuple[FociscopeWarning, ...]:
        """Return which captures emitters do not explain."""
        odd = frames - counts.explained
        if not odd:
            return ()
        named = [f"frame {n}{f' ({printable(name)})' if name else ''}" for n, name in counts.odd]
        more = f" and {odd - len(named)} more" if odd > len(named) else ""
        text = (
            f"emitters do not explain {odd} of {frames} captures: {', '.join(named)}{more}; "
            f"{ADVICE}"
        )
        return (FociscopeWarning(text, fields=("background", "imager", "model_error")),)


def locate_part(
    imager: Imager,
    options: LocateOptions,
    correction: ChipCorrection | None,
    captures: Float32Array,
    first: int,
    names: Sequence[str],
) -> Emitters:
    """Run on a worker: locate the emitters of a part."""
    # Without what this process alone reads; kernels are kept from part to part.
    plain = LocateOptions(
        most=options.most, model_error=options.model_error, background=options.background
    )
    return Locating(imager, plain, correction).part(captures, first, names)


def rendered(emitters: Emitters, imager: Imager, depth_um: np.ndarray) -> Float32Array:
    """Return (z, y, x): each emitter's light as a spot on the nearest plane."""
    height, width = imager.frame_px
    out = np.zeros((len(depth_um), height, width), np.float32)
    y, x = np.arange(height)[:, None], np.arange(width)
    pitch = imager.square_pitch_um
    for n in range(len(emitters)):
        plane = int(np.abs(depth_um - emitters.depth_um[n]).argmin())
        squared = (y - emitters.y_um[n] / pitch) ** 2 + (x - emitters.x_um[n] / pitch) ** 2
        spot = np.exp(-squared / (2 * SPOT_PX**2))
        out[plane] += emitters.brightness[n] * spot / max(float(spot.sum()), 1e-9)
    return out
