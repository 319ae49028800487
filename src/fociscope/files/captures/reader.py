"""What a user points at -> captures, read lazily: `open_captures`; or at once: `read_captures`.

One sensor image, or two from both sides of the tissue; as images, stacks, folders or patterns of
images, the published layout, or an array in an HDF5, MAT, NPZ or Zarr file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from fociscope.errors import FileFormatError, printable
from fociscope.files.captures._array_files import open_named_arrays
from fociscope.files.captures._sets import InputPath, list_images, resolve, set_stack
from fociscope.files.captures.layout import in_layout
from fociscope.files.captures.pairing import (
    Pairs,
    check_frames,
    check_sides,
    number_note,
    pair_by_name,
    pair_sets,
    sensor_of,
)
from fociscope.files.captures.series import CaptureSeries, refusing_non_finite
from fociscope.files.formats._stacks import Stack, size
from fociscope.files.formats._table import Format, find_format, is_store, list_suffixes
from fociscope.files.formats._times import disagreeing
from fociscope.files.images.reader import open_image
from fociscope.files.published.images_depth import SENSOR_A, SENSOR_B, ImagesDepthFile
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits
from fociscope.typing import Float32Array, IndexArray

__all__ = ["PageMeaning", "list_images", "open_captures", "read_captures", "sort_captures"]


PIXEL_SIZE_TOLERANCE = 0.01
"""By so much, relatively, may the pixel sizes that A and B state differ."""

PageMeaning = Literal["auto", "frames", "sensors"]
"""What pages are where a file does not say: frames of one sensor, or A and B in turns. "auto" takes
two pages for A and B, and more for frames of sensor A."""


def read_captures(
    paths: Path | str | Sequence[Path | str], limits: Limits = DEFAULT_LIMITS
) -> Float32Array:
    """Read all captures that `open_captures` opens into memory.

    Args:
        paths: Files, folders or patterns, as for `open_captures`.
        limits: What the files may claim, and the memory that the captures may take.

    Returns:
        float32 (sensor, y, x) of one capture, else (frame, sensor, y, x), in the files' units. NaN
        and infinity are returned as they are.

    Raises:
        FileFormatError: As for `open_captures`, or if the captures take more memory than `limits`
            allow.

    Examples:
        >>> import numpy as np
        >>> from fociscope.files import read_captures
        >>> np.save("run_A.npy", np.ones((51, 51)))
        >>> np.save("run_B.npy", np.ones((51, 51)))
        >>> read_captures(["run_A.npy", "run_B.npy"]).shape
        (2, 51, 51)
    """
    with open_captures(paths, limits=limits, allow_non_finite=True) as series:
        claimed = math.prod(series.shape) * np.dtype(np.float32).itemsize
        if claimed > limits.max_bytes:
            raise FileFormatError(
                f"{printable(series.names[0])}: the captures take {claimed / 2**30:.3g} GiB, "
                f"expected at most {limits.max_bytes / 2**30:.3g} GiB; read them in parts, or "
                "raise Limits.max_bytes."
            )
        captures = series.read()
        return captures[0] if series.is_single else captures


@contextmanager
def open_captures(
    paths: Path | str | Sequence[Path | str],
    *,
    limits: Limits = DEFAULT_LIMITS,
    pages: PageMeaning = "auto",
    allow_non_finite: bool = False,
    growing: bool = False,
    pixel_order: IndexArray | None = None,
) -> Iterator[CaptureSeries]:
    """Open a capture, or a series of them, of which only what is asked for is read.

    | paths | captures |
    |---|---|
    | one image | one, of sensor A |
    | A and B: two images | one |
    | one file with 2 pages or channels | one: A, B |
    | one stack | a series of sensor A; of A and B where it has 2 channels |
    | A and B: two stacks, folders or patterns | a series |
    | a folder, a pattern such as `run/*.tif`, or more than two images | a series; pairs by name |
    | `.mat`, `.h5` or `.zarr` of the published layout | a series |
    | an array in an HDF5, MAT, NPZ or Zarr file | as it is; `file.h5:/name` where several fit |

    Args:
        paths: One or two of these, or more images; one path need not be in a list.
        limits: What a file may claim; memory counts for each call of `read`.
        pages: What pages are where a file does not say: "frames" of one sensor, "sensors" A and B
            in turns, or "auto" (two pages are A and B, more are frames).
        allow_non_finite: Whether NaN and infinity are returned, as for captures whose bad pixels
            are filled later; otherwise reading them is refused.
        growing: Whether one or two image files are still being written: frames of which A or B is
            missing count as `incomplete`, and an incomplete page is refused only when it is read.
        pixel_order: (y, x) which of a frame's counts is that of each pixel, as
            `Imager.pixel_order` returns it; None for captures that are images.

    Yields:
        The open series; files are closed when the block ends.

    Raises:
        FileFormatError: If a file cannot be read, A and B differ in size or number, partners are
            missing, or it is ambiguous what a file holds.

    Examples:
        >>> import numpy as np
        >>> from fociscope.files import open_captures
        >>> np.save("run.npy", np.zeros((10, 2, 51, 51), np.uint16))
        >>> with open_captures(["run.npy"]) as series:
        ...     series.shape, series.read(0, 3).shape
        ((10, 2, 51, 51), (3, 2, 51, 51))
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    if not paths:
        raise FileFormatError(
            "0 files given, expected at least 1; a capture is one sensor image, or two (A and B)."
        )
    given = [resolve(Path(path), limits) for path in paths]
    if len(given) > 2:
        given = [_listed(given)]
    with ExitStack() as opened:
        if len(given) == 1 and given[0].is_set:
            series = _of_set(given[0], limits, pages, opened)
        elif all(found.is_set for found in given):
            pairs, notes = pair_sets(
                printable(given[0].path), given[0].files, printable(given[1].path), given[1].files
            )
            series = _of_pairs(given[0].path, given[1].path, pairs, limits, by_name=not notes)
            series = replace(series, notes=(*series.notes, *notes))
        else:
            stacks = [stack for found in given for stack in _opened(found, limits, opened, growing)]
            pairs = [tuple(found.path for found in given)]
            series = _series(stacks, pairs, pages, growing=growing)
        if len({found.inner for found in given}) == 1:  # else two arrays, maybe of one file
            check_sides(series.pairs)
        series = replace(
            series,
            names=tuple(name for found in given for name in found.names),
            arrays=tuple(
                f"{found.path.name}:/{found.inner}" for found in given if found.inner is not None
            ),
        )
        if pixel_order is not None:
            series = in_layout(series, pixel_order)
        yield series if allow_non_finite else refusing_non_finite(series)


def sort_captures(paths: Sequence[Path], limits: Limits = DEFAULT_LIMITS) -> Pairs:
    """Return the files of each capture, sensor A's first, where each is opened by itself.

    Args:
        paths: One folder or pattern, or two of them, of images; or more than two paths of any kind,
            which are paired by name.
        limits: What the files may claim.

    Returns:
        Paths for `open_captures`, one or two for each capture; one tuple in all where the paths are
        one capture, or one series.

    Raises:
        FileFormatError: If partners are missing, or a path is there twice.
    """
    given = [resolve(path, limits) for path in paths]
    if len(given) > 2:
        for path in paths:
            if list(paths).count(path) > 1:
                raise FileFormatError(
                    f"{printable(path)}: given twice, expected each capture once."
                )
        return pair_by_name(f"{printable(paths[0])} and {len(paths) - 1} more", list(paths))
    if len(given) == 1 and given[0].is_set:
        return pair_by_name(printable(given[0].path), given[0].files)
    if len(given) == 2 and all(found.is_set for found in given):
        a, b = given
        return pair_sets(printable(a.path), a.files, printable(b.path), b.files)[0]
    return [tuple(paths)]


def _listed(given: list[InputPath]) -> InputPath:
    """Return more than two files as one set."""
    for found in given:
        if found.is_set or found.inner is not None:
            raise FileFormatError(
                f"{len(given)} files given, and {printable(found.path)} is no single image; "
                "expected 1 or 2 (A and B), or images alone; put series into folders or stacks."
            )
    files = tuple(found.files[0] for found in given)
    seen: set[Path] = set()
    for file in files:
        if file in seen:
            raise FileFormatError(f"{printable(file)}: given twice, expected each image once.")
        seen.add(file)
    return InputPath(Path(f"{files[0]} and {len(files) - 1} more"), files, is_set=True)


def _of_set(
    given: InputPath, limits: Limits, pages: PageMeaning, opened: ExitStack
) -> CaptureSeries:
    """Return a folder, a pattern or a list: pairs by name, or frames of one sensor."""
    where = printable(given.path)
    pairs = pair_by_name(where, given.files)
    if len(pairs[0]) == 2:
        notes = number_note(where, pairs)
        if len(pairs) == 1:  # two files, which may be stacks
            stacks = [opened.enter_context(open_image(file, limits)) for file in pairs[0]]
            series = _series(stacks, pairs, pages)
        else:
            series = _of_pairs(given.path, given.path, pairs, limits, by_name=True)
        return replace(series, notes=(*series.notes, *notes))
    check_frames(where, given.files)
    stack = set_stack(given.path, given.files, limits, of_pairs=False)
    series = _series([stack], pairs, pages)
    if {sensor_of(file.name)[0] for file in given.files} == {"B"}:
        note = (
            f"{printable(given.path)}: all names say sensor B; taken for sensor A, as it is alone."
        )
        series = replace(series, notes=(*series.notes, note))
    return series


def _of_pairs(
    where_a: Path, where_b: Path, pairs: Pairs, limits: Limits, *, by_name: bool
) -> CaptureSeries:
    """Return images that are paired already, by their names or in order."""
    stacks = [
        set_stack(where, [pair[sensor] for pair in pairs], limits, of_pairs=True)
        for sensor, where in enumerate((where_a, where_b))
    ]
    return _series(stacks, pairs, "frames", by_name=by_name)


def _opened(
    given: InputPath, limits: Limits, opened: ExitStack, growing: bool
) -> tuple[Stack, ...]:
    """Open one file, or one set: one stack, or those of sensors A and B."""
    path, inner = given.path, given.inner
    if given.is_set:
        return (set_stack(path, given.files, limits, of_pairs=True),)
    suffix, is_folder = path.suffix.lower(), is_store(path)
    if inner is None and not is_folder and suffix in list_suffixes("image"):
        return (opened.enter_context(open_image(path, limits, growing=growing)),)
    form = find_format(path)
    if form is not None and form.open_arrays is not None:
        if inner is None and _holds_layout(form, path, limits):
            return (_published(opened.enter_context(ImagesDepthFile.open(path, limits))),)
        return opened.enter_context(open_named_arrays(form, path, inner, limits))
    if form is not None and form.open is not None and is_folder:
        return (opened.enter_context(form.open(path, limits)),)
    if suffix in list_suffixes("dataset"):
        opened.enter_context(ImagesDepthFile.open(path, limits))  # says what it is not
    return (opened.enter_context(open_image(path, limits)),)


def is_published(path: Path, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Return whether a file or store is of the published layout.

    Raises:
        FileFormatError: It is missing, empty, or damaged.
    """
    form = find_format(path)
    return form is not None and _holds_layout(form, path, limits)


def _holds_layout(form: Format, path: Path, limits: Limits) -> bool:
    """Return whether a file of named arrays is of the published layout, by sensor A's name."""
    if form.is_folder or form.open_arrays is None:
        return form.holds_layout and (path / SENSOR_A).is_dir()
    if not form.holds_layout:
        return False
    with form.open_arrays(path, limits) as source:
        return SENSOR_A in source.names()


def _published(file: ImagesDepthFile) -> Stack:
    """Return the sensor images of the published layout."""
    samples, height, width = file.shape(SENSOR_A)
    sensors = len({SENSOR_A, SENSOR_B} & set(file.names))
    whole: list[Float32Array] = []

    def planes(start: int, stop: int) -> Float32Array:
        start, stop = start // sensors, stop // sensors
        if file.is_sliceable:
            captures = file.read_captures(start, stop)
        else:
            if not whole:  # a compressed variable is decoded as a whole, so once
                whole.append(file.read_captures())
            captures = whole[0][start:stop]
        return captures.reshape(-1, height, width)

    return Stack(file.path, "FS", (samples, sensors), (height, width), planes)


def _check_times(a: Stack, b: Stack, *, by_name: bool) -> tuple[str, ...]:
    """Refuse two stacks whose frames were taken at other moments, as where frames were dropped.

    Args:
        a: Sensor A's frames.
        b: Sensor B's.
        by_name: Whether the frames are files that their names pair, which times do not refute.

    Returns:
        A note where times that are rounded cannot say so with certainty.
    """
    if a.time_s is None or b.time_s is None:
        return ()
    step_s = max(a.time_step_s, b.time_step_s)
    exact = disagreeing(a.time_s, b.time_s)
    lone = disagreeing(a.time_s, b.time_s, step=step_s) if step_s else exact
    named = lone if by_name else lone or exact
    if named is None:
        return ()
    frames = ", ".join(
        f"frame {n + 1} of sensor {side}" for side, all_ in zip("AB", named, strict=True)
        for n in all_[:2]
    )  # fmt: skip
    where = " and ".join(dict.fromkeys((printable(a.path), printable(b.path))))
    if by_name:
        return (
            f"{where}: paired by their names, not all of which are of one moment by the times that "
            f"the files state ({frames or 'they come in another order'}); check them if either "
            "camera may drop frames.",
        )
    if lone is None and not (_rises(a.time_s) and _rises(b.time_s)):
        return (
            f"{where}: frames came faster than their times, which are to the second, tell apart; "
            "frames that one camera dropped cannot be noticed by them.",
        )
    if lone is None:
        return (
            f"{where}: by their times to the second, frames may be missing ({frames}), after which "
            "A and B are not of one moment; compare the times if either camera may drop frames.",
        )
    raise FileFormatError(
        f"{where}: by the times that they state, not all frames have a partner "
        f"({frames or 'they come in another order'}), expected frames of one moment side by side; "
        "take out the frames without a partner."
    )


def _series(
    stacks: list[Stack],
    pairs: Pairs,
    pages: PageMeaning,
    *,
    growing: bool = False,
    by_name: bool = False,
) -> CaptureSeries:
    """Return one stack alone, or two stacks as sensors A and B."""
    if len(stacks) == 1:
        is_in_turns = growing and pages == "sensors"
        stack, begun = stacks[0].without_lone_page() if is_in_turns else (stacks[0], 0)
        stack = stack.as_series(pages)
        return CaptureSeries(
            (stack.frames, stack.sensors, *stack.frame_px),
            stack.read,
            is_single=stack.leading in ("", "S"),
            pixel_size_um=stack.pixel_size_um,
            pairs=tuple(pairs),
            incomplete=begun,
            notes=stack.notes,
            time_s=_times(stack, stack.frames),
        )
    if len(stacks) > 2:
        raise FileFormatError(
            f"{printable(stacks[0].path)}: holds both sensors, expected one sensor's images beside "
            "another file; give this file alone."
        )
    a, b = (stack.of_one_sensor() for stack in stacks)
    if a.frame_px != b.frame_px:
        raise FileFormatError(
            f"{printable(a.path)} has {size(a.shape)} pixels but {printable(b.path)} "
            f"has {size(b.shape)}, "
            "expected sensors A and B of one frame size; crop or bin one."
        )
    if a.frames != b.frames and not growing:
        raise FileFormatError(
            f"{printable(a.path)} holds {a.frames} images but {printable(b.path)} "
            f"holds {b.frames}, "
            "expected as many of sensor A as of B; give pairs."
        )
    remarks = _check_times(a, b, by_name=by_name)
    sizes_um = [stack.pixel_size_um for stack in (a, b) if stack.pixel_size_um is not None]
    if len(sizes_um) == 2 and not math.isclose(*sizes_um, rel_tol=PIXEL_SIZE_TOLERANCE):
        raise FileFormatError(
            f"{printable(a.path)} states pixels of {sizes_um[0]:g} µm but {printable(b.path)} of "
            f"{sizes_um[1]:g} µm, expected one size; correct the metadata, or resample one."
        )
    frames = min(a.frames, b.frames)
    return CaptureSeries(
        (frames, 2, *a.frame_px),
        lambda start, stop: np.concatenate([a.read(start, stop), b.read(start, stop)], axis=1),
        is_single="" in (a.leading, b.leading),
        pixel_size_um=sizes_um[0] if sizes_um else None,
        pairs=tuple(pairs),
        incomplete=abs(a.frames - b.frames),
        notes=tuple(dict.fromkeys((*a.notes, *b.notes, *remarks))),
        time_s=_times(a, frames) or _times(b, frames),
    )


def _times(stack: Stack, frames: int) -> tuple[float, ...] | None:
    """Return when each of so many frames was taken, s; None if the file does not state it of all.

    Times of pages that turn out to be sensors are no times of frames, and neither are those to the
    second that several frames share.
    """
    if stack.time_s is None or len(stack.time_s) != stack.frames:
        return None
    times = stack.time_s[:frames]
    return None if stack.time_step_s and not _rises(times) else times


def _rises(times: Sequence[float]) -> bool:
    """Whether each time is later than the one before."""
    return all(a < b for a, b in pairwise(times))
