"""What TIFF metadata say: the pixel pitch, and which axes the pages run over.

Only attributes are read from them; shapes are promises that the pages themselves must keep.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.formats._axes import axis_role
from fociscope.files.formats._channels import channel_order
from fociscope.files.formats._pixel_size import believed_um, is_printer_resolution
from fociscope.files.formats._units import seconds_per_unit, um_per_unit
from fociscope.files.images._tiff_count import scifio_axes, shaped_descriptions
from fociscope.files.images._tiff_lsm import read_lsm
from fociscope.files.images._tiff_times import (
    DATE_STEP_S,
    check_sensor_times,
    date_times,
    even_times,
)
from fociscope.files.images._tiff_vendor import (
    micromanager,
    micromanager_axes,
    micromanager_times,
    scanimage_channels,
)
from fociscope.files.ome._file_sets import part_in_file
from fociscope.files.ome._xml import OmeImage, read_ome_xml
from fociscope.typing import Float64Array, Int64Array

__all__ = ["PageAxes", "Pages", "check_axes", "ome_image", "page_axes", "pixel_size_um"]

Pages = Int64Array

_CENTIMETRE = 3
_UM_PER_CM = 10_000.0
_SCIFIO_NAMES = {"Time": "T", "Channel": "C"}
_IMAGEJ_NAMES = {"T": "frames", "Z": "slices", "C": "channels"}


@dataclass(frozen=True)
class PageAxes:
    """What the pages of a stack run over."""

    leading: str
    """As `Stack.leading` names it."""
    counts: tuple[int, ...]
    """Length of each leading axis."""
    pages: Pages
    """Number of the page of each plane, all axes in C order."""
    notes: tuple[str, ...] = ()
    time_s: tuple[float, ...] | None = None
    """When each frame was taken, s, if the file states it."""
    time_step_s: float = 0.0
    """To which these times are rounded down, s."""
    depth_um: tuple[float, ...] | None = None
    """Position of each frame along the optical axis, um, if the file states it."""

    def with_sensors_in_order(self, where: str, names: tuple[str, ...]) -> "PageAxes":
        """Return A before B, where the names of the two channels say that they come in reverse."""
        if self.leading not in ("S", "FS") or self.counts[-1] != 2:
            return self
        order, notes = channel_order(where, names)
        pages = self.pages.reshape(-1, 2)[:, list(order)].ravel()
        return replace(self, pages=pages, notes=(*self.notes, *notes))


def pixel_size_um(path: Path, tiff: Any) -> tuple[float | None, tuple[str, ...]]:
    """Return the pixel pitch in um that an open `tifffile.TiffFile` states, and what to know of it.

    Returns:
        The pitch, None if it states none that can be one; and notes.

    Raises:
        FileFormatError: its OME-XML is unsafe.
        ValueError: its OME-XML is broken.
    """
    page: Any = tiff.pages[0]
    image = ome_image(path, tiff)
    where = printable(path)
    if image is not None:
        pixels = image.pixels
        try:
            sizes = [
                float(pixels.get(f"PhysicalSize{axis}", "").strip() or "nan")
                * um_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
                for axis in "XY"
            ]
        except ValueError:
            said = printable(pixels.get("PhysicalSizeX", ""))[:40]
            note = f"{where}: its pixel size {said!r} is no number; that is ignored."
            return None, (note,)
        return believed_um(where, _square(*sizes))
    lsm = read_lsm(tiff)
    if lsm is not None:
        return believed_um(where, _square(*lsm.pixel_um))
    own_um = micromanager(page).get("PixelSizeUm")
    if isinstance(own_um, int | float) and own_um > 0:
        return believed_um(where, float(own_um))
    centimetre = page.tags.valueof("ResolutionUnit", default=0) == _CENTIMETRE
    unit_um = _UM_PER_CM if centimetre else math.nan
    if tiff.is_imagej:
        unit_um = um_per_unit((tiff.imagej_metadata or {}).get("unit"))
    sizes = []
    for axis in "XY":
        pixels_per, units = page.tags.valueof(f"{axis}Resolution", default=(0, 0))
        sizes.append(unit_um * units / pixels_per if pixels_per else math.nan)
    stated_um = _square(*sizes)
    if stated_um is not None and not tiff.is_imagej and is_printer_resolution(stated_um):
        dpi = round(25_400 / stated_um)
        note = (
            f"{where}: its resolution of {dpi} dots per inch is a screen's or a printer's, and is "
            "ignored."
        )
        return None, (note,)
    return believed_um(where, stated_um)


def _square(x_um: float, y_um: float) -> float | None:
    sound = math.isfinite(x_um) and x_um > 0 and math.isclose(x_um, y_um, rel_tol=1e-3)
    return x_um if sound else None


def check_axes(path: Path, tiff: Any, count: int) -> Pages:
    """Refuse a stack with more than one axis over its pages, and one that keeps pages elsewhere.

    Returns:
        The number of the page of each plane, in the order of that axis.

    Raises:
        FileFormatError: so it is, or its OME-XML is unsafe.
        ValueError: its OME-XML is broken.
    """
    image = ome_image(path, tiff)
    long = _long_axes(image, tiff)
    if len(long) > 1:
        raise _several_axes(path, long)
    _check_count(path, long, count)
    if image is None or not long:
        return np.arange(count)
    return _ome_planes(path, image, tiff, [long.get(axis, 1) for axis in image.slow_to_fast])


def page_axes(path: Path, tiff: Any, count: int, *, listed: int | None = None) -> PageAxes:
    """Return what the pages run over, how long, and their order.

    Channels are sensors, time points are frames. Slices are frames beside channels, and say
    nothing on their own, because much software calls every stack one of slices.

    Args:
        path: File, for messages.
        tiff: Open `tifffile.TiffFile`.
        count: Number of planes.
        listed: Number of pages in its list, if planes lie behind them.

    Raises:
        FileFormatError: more than frames and sensors, more than two channels, pages elsewhere, or
            unsafe OME-XML.
        ValueError: its OME-XML is broken.
    """
    image = ome_image(path, tiff)
    found = _page_axes(path, tiff, image, count, count if listed is None else listed)
    if image is None or image.files < 2:
        return found
    note = (
        f"{printable(path)}: one of {image.files} files of an OME-TIFF set; the {count} plane(s) "
        f"of {image.planes_in_set} that it holds are read."
    )
    return replace(found, notes=(*found.notes, note))


def _page_axes(path: Path, tiff: Any, image: OmeImage | None, count: int, listed: int) -> PageAxes:
    """Return what the pages of one file run over."""
    long = _long_axes(image, tiff)
    pages = np.arange(count)
    where = printable(path)
    if not long:
        if count == 1:
            return PageAxes("", (), pages)
        found = _unnamed(path, tiff, count, listed)
        found = _with_dates(tiff, found)
        return replace(found, notes=(*found.notes, *_undescribed(where, image, count)))
    if {"T", "Z"} <= set(long) or not set(long) <= {"T", "Z", "C"}:
        raise _several_axes(path, long)
    if long.get("C", 2) != 2:
        raise FileFormatError(
            f"{where}: {long['C']} channels, expected 2 (sensors A and B) or 1; save the "
            "sensors alone, and frames as time points."
        )
    _check_count(path, long, count)
    slow_to_fast = _imagej_order(tiff)
    if image is not None:
        slow_to_fast = image.slow_to_fast
        pages = _ome_planes(path, image, tiff, [long.get(axis, 1) for axis in slow_to_fast])
    frames = "T" if "T" in long else "Z"
    sides = [long.get(axis, 1) for axis in slow_to_fast]
    axes = [slow_to_fast.index(axis) for axis in ("Z" if frames == "T" else "T", frames, "C")]
    pages = pages.reshape(sides).transpose(axes).ravel()
    names = _channel_names(image, tiff, pages)
    found = _of_long_axes(long, frames, pages).with_sensors_in_order(where, names)
    if "T" in long:
        lsm = read_lsm(tiff) if image is None else None
        even_s = even_times(image, tiff, long["T"]) if lsm is None else lsm.time_s
        found = replace(found, time_s=even_s)
    if image is None or not found.leading.startswith(("F", "P")):
        return _with_dates(tiff, found)
    depths, unknown = _frame_values(image, "PositionZ", sides, axes, found, um_per_unit)
    note = f"{where}: its plane positions (PositionZ) state no unit and are taken for µm."
    times, _ = _frame_values(image, "DeltaT", sides, axes, found, seconds_per_unit)
    if found.leading == "FS" and frames == "T":
        check_sensor_times(path, times[:, 0].tolist(), times[:, 1].tolist())
    found = replace(
        found,
        depth_um=_of_all(depths[:, 0]),
        time_s=_of_all(times[:, 0]) or found.time_s,
        notes=(*found.notes, note) if unknown and _of_all(depths[:, 0]) else found.notes,
    )
    return _with_dates(tiff, found)


def _with_dates(tiff: Any, found: PageAxes) -> PageAxes:
    """Return frames with the times of the tag DateTime, where nothing else states any."""
    if found.time_s is not None or not found.leading.startswith(("F", "P")):
        return found
    planes = found.pages.reshape(found.counts[0], -1)[:, 0] // tiff.pages[0].samplesperpixel
    return replace(found, time_s=date_times(tiff, planes), time_step_s=DATE_STEP_S)


def _of_all(values: Float64Array) -> tuple[float, ...] | None:
    """Return values, None unless all are known."""
    return None if np.isnan(values).any() else tuple(values.tolist())


def _frame_values(
    image: OmeImage,
    name: str,
    sides: list[int],
    axes: list[int],
    found: PageAxes,
    factor: Callable[[object], float],
) -> tuple[Float64Array, bool]:
    """Return an attribute of each plane, (frame, sensor), and whether any unit was left out."""
    bare = False

    def unit_of(unit: str | None) -> float:
        nonlocal bare
        bare = bare or unit is None
        return 1.0 if unit is None else factor(unit)

    values = image.plane_values(name, sides, unit_of).transpose(axes).reshape(found.counts[0], -1)
    return values, bare


def _of_long_axes(long: dict[str, int], frames: str, pages: Pages) -> PageAxes:
    """Return the axes of pages in the order of frames, then channels."""
    if frames not in long:
        return PageAxes("S", (2,), pages)
    if "C" in long:
        return PageAxes("FS", (long[frames], 2), pages)
    return PageAxes("F" if frames == "T" else "P", (len(pages),), pages)


def ome_image(path: Path, tiff: Any) -> OmeImage | None:
    """Return what the OME-XML says of the first image in this file, None if this is no OME-TIFF.

    Raises:
        FileFormatError: the XML defines entities.
        ValueError: it is no XML, too long, or places planes where none can be.
    """
    text = tiff.ome_metadata
    image = None if text is None else read_ome_xml(path, text)
    return None if image is None else part_in_file(image, path.name)


def _ome_planes(path: Path, image: OmeImage, tiff: Any, sides: list[int]) -> Pages:
    """Return the plane of each place, counted in the order `slow_to_fast` of the image.

    Raises:
        FileFormatError: values of one pixel are not its channels.
        ValueError: planes without a page.
    """
    samples = tiff.pages[0].samplesperpixel
    if samples == 1:
        return image.pages(sides)
    at = image.slow_to_fast.index("C")
    if sides[at] != samples:
        raise FileFormatError(
            f"{printable(path)}: {samples} values per pixel but {sides[at]} channels in its "
            "OME-XML, expected as many; save each channel as a page."
        )
    of_pages = [side for place, side in enumerate(sides) if place != at]
    pages = image.pages([1 if place == at else side for place, side in enumerate(sides)])
    planes = pages.reshape(of_pages)[..., None] * samples + np.arange(samples)
    found: Pages = np.moveaxis(planes, -1, at).ravel()
    return found


def _imagej_order(tiff: Any) -> str:
    """Return T, Z and C, the slowest first; ImageJ's text names the fastest first.

    Source: ImageJ's and Bio-Formats' key `order`, one of the six orders; xyczt without it. ImageJ2
    lists the axes themselves.
    """
    listed = [_SCIFIO_NAMES.get(name, name) for name, _ in scifio_axes(tiff)]
    if listed:
        return "".join([axis for axis in "TZC" if axis not in listed] + listed[::-1])
    order = str((tiff.imagej_metadata or {}).get("order", "")).lower().removeprefix("xy")
    return order[::-1].upper() if sorted(order) == ["c", "t", "z"] else "TZC"


def _channel_names(image: OmeImage | None, tiff: Any, pages: Pages) -> tuple[str, ...]:
    """Return what the first two channels are called, "" where nothing names them."""
    if image is not None:
        return tuple(channel.get("Name", "") for channel in image.channels[:2])
    if tiff.pages[0].samplesperpixel > 1:
        return ()
    labels = (tiff.imagej_metadata or {}).get("Labels")
    if isinstance(labels, list) and len(labels) > max(pages[:2]):
        return tuple(str(labels[page]) for page in pages[:2])
    if len(tiff.pages) > max(pages[:2]):
        said = [micromanager(tiff.pages[int(page)]) for page in pages[:2]]
        return tuple(str(one.get("Channel", one.get("ChannelName", ""))) for one in said)
    return ()


def _unnamed(path: Path, tiff: Any, count: int, listed: int) -> PageAxes:
    """Return the axes of a file without OME-XML, and without axes in ImageJ's text."""
    own = micromanager_axes(path, tiff, count) if listed == count else None
    if own is not None:
        names, of_planes = own
        leading, counts = ("FS" if of_planes.ndim == 2 else "F"), of_planes.shape
        if of_planes.ndim == 2 and counts[0] == 1:
            leading, counts = "S", counts[1:]
        times = micromanager_times(tiff, of_planes.reshape(len(of_planes), -1)[:, 0])
        if times is not None and leading == "FS":
            check_sensor_times(path, times, micromanager_times(tiff, of_planes[:, 1]) or times)
        if leading == "S":
            times = None
        found = PageAxes(leading, counts, of_planes.ravel(), time_s=times)
        return found.with_sensors_in_order(printable(path), names)
    if listed == count and scanimage_channels(path, tiff, count) == 2:
        return PageAxes("FS", (count // 2, 2), np.arange(count))
    return _shaped(path, tiff, count, listed) or _of_samples(path, tiff, count)


def _of_samples(path: Path, tiff: Any, count: int) -> PageAxes:
    """Return the axes of plain pages; two planes of each page are its sensors."""
    samples, pages = tiff.pages[0].samplesperpixel, np.arange(count)
    if samples in (1, count):
        return PageAxes("P", (count,), pages)
    if samples != 2:
        raise FileFormatError(
            f"{printable(path)}: {count // samples} pages of {samples} values per pixel, expected "
            "frames, or frames of sensors A and B; save each plane as a page."
        )
    return PageAxes("FS", (count // 2, 2), pages)


def _shaped(path: Path, tiff: Any, count: int, listed: int) -> PageAxes | None:
    """Return the axes where tifffile itself wrote an array (frame, sensor, y, x), or named them."""
    said = shaped_descriptions(tiff, listed)
    shape = said[0].get("shape", ()) if len(said) == 1 else ()
    if not isinstance(shape, list) or not all(type(side) is int for side in shape):
        return None
    axes, pages = said[0].get("axes"), np.arange(count)
    if not isinstance(axes, str) or len(axes) != len(shape):
        if len(shape) != 4 or shape[0] * shape[1] != count or shape[0] == 1:
            return None
        if shape[1] not in (1, 2):
            raise FileFormatError(
                f"{printable(path)}: an array {' x '.join(map(str, shape))} with {shape[1]} "
                "sensors, expected (frame, 1 or 2 sensors, y, x); reorder its axes, or name them."
            )
        return PageAxes("FS", (shape[0], shape[1]), pages)
    if axes[-2:].upper() != "YX":
        return None if axes[-1:].upper() == "S" else _refused_axes(path, axes, shape)
    sides = dict(zip(axes[:-2], shape[:-2], strict=True))
    roles = {name: axis_role(name) for name, side in sides.items() if side > 1}
    frames = [name for name, role in roles.items() if role in ("t", "z")]
    sensors = [name for name, role in roles.items() if role == "c"]
    if len(sides) != len(axes) - 2 or math.prod(sides.values()) != count:
        return None
    if not frames and not sensors:
        return None  # "Q", "S" and the like say nothing
    if len(frames) > 1 or len(sensors) > 1 or len(roles) > len(frames) + len(sensors):
        _refused_axes(path, axes, shape)
    if sensors and sides[sensors[0]] != 2:
        _refused_axes(path, axes, shape)
    order = [axes.index(name) for name in (*frames, *sensors)]
    lone = [at for at in range(len(axes) - 2) if at not in order]
    pages = pages.reshape(shape[:-2]).transpose([*lone, *order]).ravel()
    if not sensors:
        return PageAxes("F" if roles[frames[0]] == "t" else "P", (count,), pages)
    counts = tuple(sides[name] for name in (*frames, *sensors))
    return PageAxes("FS" if frames else "S", counts, pages)


def _refused_axes(path: Path, axes: str, shape: list[int]) -> PageAxes:
    raise FileFormatError(
        f"{printable(path)}: a stack over the axes {axes!r:.20} ({' x '.join(map(str, shape))}), "
        "expected frames (T or Z) and 2 channels (C) at most, then Y and X; save a stack for each."
    )


def _undescribed(where: str, image: OmeImage | None, count: int) -> tuple[str, ...]:
    """Say so where OME-XML describes fewer planes than there are."""
    if image is None or image.images >= count:
        return ()
    return (
        f"{where}: its OME-XML describes {image.images} plane(s) but there are {count} pages; all "
        "are read.",
    )


def _long_axes(image: OmeImage | None, tiff: Any) -> dict[str, int]:
    """Return the axes T, Z, C that are claimed to be longer than 1."""
    if image is not None:
        axes = {axis: image.size(axis) for axis in "TZC"}
    elif (lsm := read_lsm(tiff)) is not None:
        axes = lsm.sizes
    else:
        imagej = tiff.imagej_metadata or {}
        axes = {axis: int(imagej.get(name, 1)) for axis, name in _IMAGEJ_NAMES.items()}
        axes |= {_SCIFIO_NAMES.get(name, name): length for name, length in scifio_axes(tiff)}
    return {axis: length for axis, length in axes.items() if length > 1}


def _several_axes(path: Path, long: dict[str, int]) -> FileFormatError:
    return FileFormatError(
        f"{printable(path)}: a stack over several axes ({_listed(long)}), expected one, or frames "
        "and 2 channels; save a stack for each."
    )


def _check_count(path: Path, long: dict[str, int], count: int) -> None:
    if long and math.prod(long.values()) != count:
        raise FileFormatError(
            f"{printable(path)}: claims {_listed(long)} but holds {count} pages, expected all of "
            "them in this file; export it again as one ordinary TIFF."
        )


def _listed(long: dict[str, int]) -> str:
    return " x ".join(f"{length} {axis}" for axis, length in long.items())
