"""Captures in, point emitters in 3D out: tables, a rendering, a summary and a figure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fociscope.errors import CaptureError, FociscopeWarning, printable
from fociscope.figures.emitters import draw_emitters
from fociscope.files import CaptureSeries, atomic_folder, open_captures, write_ome_tiff
from fociscope.files.captures.reader import PageMeaning
from fociscope.imager.geometry import Imager
from fociscope.localization import Emitters, Locator
from fociscope.localization.emitters import LARGEST_MISFIT
from fociscope.localization.locator import MODEL_ERROR, MOST_EMITTERS
from fociscope.reconstruction.black_level import (
    find_black_level,
    stated_black_level,
    with_black_level,
)
from fociscope.reconstruction.checks import check_pixel_size
from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.preparation import Preparation, prepared
from fociscope.results.load import EMITTERS_TABLE
from fociscope.results.provenance import imager_sha256, inputs, versions
from fociscope.results.writers import FIGURE, SUMMARY
from fociscope.series.options import Paths, ReconstructionOptions
from fociscope.typing import Float32Array, Progress
from fociscope.workflows._loading import (
    as_paths,
    data_set_imager,
    loaded_correction,
    named_imager,
    title_of,
)
from fociscope.workflows._outcome import MOST_NAMED

__all__ = ["LocateOptions", "LocateOutcome", "locate"]

#: Planes of the rendering, and its spot's standard deviation in pixels.
RENDERED_STEP_UM, SPOT_PX = 50.0, 0.6
EMITTERS, FRAMES, RENDERING = EMITTERS_TABLE, "frames.csv", "emitters.ome.tif"


@dataclass(frozen=True, kw_only=True)
class LocateOptions:
    """How captures are read, and emitters located; every field has a default.

    Examples:
        >>> from fociscope.workflows import LocateOptions
        >>> LocateOptions(most=10).most
        10
    """

    imager: Imager | Path | str | None = None
    """Imager that took the captures, or path of its TOML file; None for that of the data set which
    the captures are of, else the reference imager."""
    dark: Paths | float = ()
    """Dark frames, as for `fociscope.reconstruct`."""
    flat: Paths = ()
    """Captures of even light, as for `fociscope.reconstruct`."""
    bad_pixels: Paths = ()
    """Images that differ from 0 at pixels which are not used."""
    preparation: Preparation = field(default_factory=Preparation)
    """Flips, crop and average of the captures, before anything else."""
    pages: PageMeaning = "auto"
    """Meaning of the pages of a stack that does not state it."""
    most: int = MOST_EMITTERS
    """Emitters per capture at most."""
    model_error: float = MODEL_ERROR
    """Standard deviation of what the imager's description is wrong by, as a share of the light."""
    overwrite: bool = False
    """Whether results of the same names are replaced."""


@dataclass(frozen=True)
class LocateOutcome:
    """Emitters and files of `fociscope.locate`.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.workflows import LocateOutcome
        >>> LocateOutcome(emitters=None, output=Path("beads"), files=(), title="run").title
        'run'
    """

    emitters: Emitters
    """Emitters of all captures."""
    output: Path
    """Folder of the results."""
    files: tuple[Path, ...]
    """Files that were written."""
    title: str
    """Title of the figure: the names of the captures."""
    notes: tuple[str, ...] = ()
    """How the files were read where they leave it open, in sentences for a user."""
    warnings: tuple[FociscopeWarning, ...] = ()
    """Reasons not to trust the results as they are."""


def locate(
    paths: Sequence[Path | str] | Path | str,
    output: Path | str,
    options: LocateOptions | None = None,
    *,
    title: str | None = None,
    progress: Progress | None = None,
    on_plan: Callable[[CaptureSeries, Imager], None] | None = None,
) -> LocateOutcome:
    """Locate point emitters in captures: beads, single cells, micro-foci, anywhere in depth.

    Their number is chosen by the data; see `fociscope.localization.Locator`. All files are written,
    or none: `emitters.csv`, `frames.csv`, `emitters.ome.tif` (the first capture, rendered;
    not of oblong pixels), `summary.json` and `figure.png`.

    Args:
        paths: Sensor A's image and sensor B's: files, stacks, folders, or patterns; or one file
            that holds both.
        output: Folder of the results, made if it does not exist.
        options: Imager, preparation, correction and the like.
        title: Title of the figure; without it, the names of the captures.
        progress: Function called with the number of captures done and their total.
        on_plan: Function called with the opened captures and the imager, before the work.

    Returns:
        Emitters, files, and reasons not to trust the results.

    Raises:
        FileFormatError: If a file is missing, broken or unsafe.
        CaptureError: If captures do not fit the imager, or no capture is one of a few emitters.
        OutputExistsError: If the folder is not empty, and `overwrite` is not set.
        ImagerError: If the imager is none that emitters can be located with.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> import fociscope
        >>> imager = fociscope.Imager.reference()
        >>> response = fociscope.localization.EmitterResponse(imager, (51, 51))
        >>> light, _ = response(np.array([[1400.0, 1380.0, 300.0]]))
        >>> noise = np.random.default_rng(0).normal(0, 1e-5, (1, 2, 51, 51))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/bead.npy", light.reshape(1, 2, 51, 51) + noise)
        ...     found = fociscope.locate(f"{folder}/bead.npy", f"{folder}/out")
        >>> len(found.emitters)
        1
    """
    options = options or LocateOptions()
    named = as_paths(paths)
    shared = ReconstructionOptions(
        imager=options.imager,
        dark=options.dark,
        flat=options.flat,
        bad_pixels=options.bad_pixels,
        preparation=options.preparation,
        pages=options.pages,
    )
    with (
        open_captures(
            named, pages=options.pages, allow_non_finite=bool(shared.chip_files[2])
        ) as files,
        atomic_folder(Path(output), options.overwrite) as part,
    ):
        series = prepared(files, options.preparation)
        imager, notes = _imager(shared, named, files)
        check_pixel_size(series.pixel_size_um, imager)
        if on_plan is not None:
            on_plan(files, imager)
        black = find_black_level(
            files.read(0, 1), stated_black_level(named_imager(shared)), has_dark=shared.has_dark
        )
        correction = with_black_level(loaded_correction(shared, series.shape[1]), black)
        emitters, first = _located(series, imager, options, correction, progress)
        title = title or title_of(named, len(series))
        warnings = _checked(emitters, series, title)
        draw_emitters(emitters.of_frame(0), first, imager, title).savefig(part / FIGURE)
        _write(part, emitters, series, imager)
        _write_summary(part, emitters, imager, options, files.names)
    names = (EMITTERS, FRAMES, *([RENDERING] if imager.has_plain_pixels else []), SUMMARY, FIGURE)
    said = (*black.warnings, *warnings)
    return LocateOutcome(
        emitters=emitters,
        output=Path(output),
        files=tuple(Path(output) / name for name in names),
        title=title,
        notes=(*series.notes, *notes, *black.notes),
        warnings=tuple(FociscopeWarning(text, fields=("imager", "model_error")) for text in said),
    )


def _imager(
    shared: ReconstructionOptions, paths: Sequence[Path], files: CaptureSeries
) -> tuple[Imager, tuple[str, ...]]:
    """Return the imager for these captures, and a note where nobody named it."""
    imager = named_imager(shared)
    notes: tuple[str, ...] = ()
    if imager is None:
        imager = data_set_imager(paths)
        source = "that of the data set" if imager is not None else "the reference imager"
        notes = (f"no imager is named: {source} is taken.",)
    imager = imager or Imager.reference()
    sensors = files.shape[1]
    if imager.sensors < sensors:
        raise CaptureError(
            f"the captures are of {sensors} sensors, the imager {imager.name!r} has one; name the "
            "imager of both, or give sensor A's images alone",
            fields=("imager",),
        )
    crop = shared.preparation.crop
    if crop is not None:
        imager = imager.cropped(*crop, of=(files.shape[2], files.shape[3]))
    return imager.with_(sensors=sensors, frame_px=_frame_px(shared, files)), notes


def _frame_px(shared: ReconstructionOptions, files: CaptureSeries) -> tuple[int, int]:
    return shared.preparation.frame_px((files.shape[2], files.shape[3]))


def _corrected(
    captures: Float32Array, correction: ChipCorrection | None
) -> tuple[Float32Array, np.ndarray | None]:
    """Return captures without the chip's pattern, and its bad pixels."""
    if correction is None:
        return captures, None
    corrected, bad = correction(torch.from_numpy(captures))
    return corrected.numpy(), bad.numpy()


def _located(
    series: CaptureSeries,
    imager: Imager,
    options: LocateOptions,
    correction: ChipCorrection | None,
    progress: Progress | None,
) -> tuple[Emitters, Float32Array]:
    """Locate the emitters of each capture, one after another; return the first capture, too."""
    locator = Locator(imager, imager.frame_px, model_error=options.model_error, most=options.most)
    parts, first = [], None
    for frame in range(len(series)):
        captures, bad = _corrected(series.read(frame, frame + 1), correction)
        first = captures[0] if first is None else first
        parts.append(locator.locate(captures, bad_pixels=bad))
        if progress is not None:
            progress(frame + 1, len(series))
    assert first is not None  # a series holds a capture
    return Emitters.joined(parts), first


def _checked(emitters: Emitters, series: CaptureSeries, title: str) -> tuple[str, ...]:
    """Return what speaks against the emitters; refuse captures of something else.

    Raises:
        CaptureError: If no capture is explained by emitters.
    """
    odd = np.flatnonzero(~emitters.is_explained)
    if len(odd) == 0:
        return ()
    advice = (
        "dense tissue is for fociscope.reconstruct; if there are but a few emitters, the imager's "
        "description does not fit, or a larger model error is to be stated"
    )
    if len(odd) == len(emitters.misfit):
        misfit = float(np.median(emitters.misfit))
        raise CaptureError(
            f"{printable(title)}: emitters do not explain the light: {len(emitters)} of them leave "
            f"{misfit:.1f} times the noise (at most {LARGEST_MISFIT:g} are expected); {advice}",
            fields=("imager", "model_error"),
        )
    names = series.frame_names or [""] * len(emitters.misfit)
    named = [f"frame {n + 1}{f' ({printable(names[n])})' if names[n] else ''}" for n in odd]
    more = f" and {len(odd) - MOST_NAMED} more" if len(odd) > MOST_NAMED else ""
    return (
        f"emitters do not explain {len(odd)} of {len(emitters.misfit)} captures: "
        f"{', '.join(named[:MOST_NAMED])}{more}; {advice}",
    )


def _write(part: Path, emitters: Emitters, series: CaptureSeries, imager: Imager) -> None:
    """Write the tables and the rendering."""
    e = emitters
    places = (e.x_um, e.y_um, e.depth_um, e.x_std_um, e.y_std_um, e.depth_std_um)
    columns = {
        "frame": (e.frame + 1).tolist(),
        **{
            name: [f"{value:.2f}" for value in column]
            for name, column in zip(PLACES, places, strict=True)
        },
        "brightness": [f"{value:.6g}" for value in e.brightness],
        "probability": [f"{value:.4f}" for value in e.probability],
    }
    _write_csv(part / EMITTERS, columns)
    count = len(e.misfit)
    frames: dict[str, list[Any]] = {
        "frame": list(range(1, count + 1)),
        "name": [printable(name) for name in series.frame_names] or [""] * count,
    }
    if series.time_s is not None:
        frames["time_s"] = [str(round(float(time), 6)) for time in series.time_s]
    frames["emitters"] = e.counts.tolist()
    frames["misfit"] = [f"{value:.3f}" for value in e.misfit]
    frames["explained"] = e.is_explained.astype(int).tolist()
    for s, sensor in enumerate("ab"[: imager.sensors]):
        frames[f"background_{sensor}"] = [f"{value:.6g}" for value in e.background[:, s]]
    _write_csv(part / FRAMES, frames)
    if not imager.has_plain_pixels:  # OME-TIFF knows one size of pixels along x and y here
        return
    depth_um = np.arange(0.0, imager.gap_um + 1e-6, RENDERED_STEP_UM)
    write_ome_tiff(
        part / RENDERING,
        rendered(e.of_frame(0), imager, depth_um),
        pixel_pitch_um=imager.square_pitch_um,
        depth_um=depth_um,
        channel_name="light",
    )


#: Columns of `emitters.csv` that are lengths, in um.
PLACES = ("x_um", "y_um", "depth_um", "x_std_um", "y_std_um", "depth_std_um")


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


def _write_csv(path: Path, columns: dict[str, list[Any]]) -> None:
    rows: Iterable[Sequence[Any]] = zip(*columns.values(), strict=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _write_summary(
    part: Path,
    emitters: Emitters,
    imager: Imager,
    options: LocateOptions,
    captures: Sequence[Path],
) -> None:
    counts = emitters.counts
    summary = {
        "kind": "emitters",
        "frames": len(counts),
        "emitters": len(emitters),
        "emitters_per_frame": {"least": int(counts.min()), "most": int(counts.max())},
        "explained_frames": int(emitters.is_explained.sum()),
        "median_misfit": round(float(np.median(emitters.misfit)), 4),
        "imager": imager.model_dump(mode="json", exclude_none=True),
        "most": options.most,
        "model_error": options.model_error,
        **versions(),
        "imager_sha256": imager_sha256(imager),
        "inputs": inputs(captures),
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (part / SUMMARY).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
