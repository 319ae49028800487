"""What a user points at -> captures: (sensor, y, x), or (frame, sensor, y, x) for several.

One sensor image, or two from both sides of the tissue; as images, stacks, folders of images, or one
file of the published layout (`.mat`, HDF5, Zarr).
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError
from fociscope.files.images import IMAGE_SUFFIXES, read_image
from fociscope.files.images_depth import is_images_depth, read_images_depth
from fociscope.files.limits import DEFAULT_LIMITS, Limits, shown
from fociscope.files.zarr_store import is_zarr

__all__ = ["list_images", "read_captures"]

FloatArray = npt.NDArray[np.float32]


def read_captures(paths: Sequence[Path], limits: Limits = DEFAULT_LIMITS) -> FloatArray:
    """Read a capture, or several of them, from one or two paths.

    | given | returned |
    |---|---|
    | one image | (1, y, x) |
    | one file with 2 pages: A, B | (2, y, x) |
    | one `.npy` (frame, sensor, y, x) | as it is |
    | one `.mat`, `.h5` or `.zarr` of the published layout | (sample, sensor, y, x) |
    | one folder of images of sensor A | (frame, 1, y, x) |
    | A and B: two images | (2, y, x) |
    | A and B: two stacks or folders | (frame, 2, y, x) |

    Images in folders are taken in natural order (2 before 10).

    Raises:
        FileFormatError: a file cannot be read, A and B differ in size or number, or it is not clear
            what the pages of a file are.
    """
    paths = [Path(path) for path in paths]
    if not 1 <= len(paths) <= 2:
        raise FileFormatError(
            f"{len(paths)} files given, expected 1 or 2; a capture is one sensor image, or two "
            "(A and B); put series into folders or stacks."
        )
    if len(paths) == 2:
        return _pair(paths[0], paths[1], limits)
    path = paths[0]
    if _names_images_depth(path):
        return read_images_depth(path, limits).captures
    if path.is_dir():
        return _read_folder(path, limits)[:, None]
    return _single(path, read_image(path, limits))


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order; other and hidden files are left out.

    Raises:
        FileFormatError: the folder holds no image, or may not be read.
    """
    try:
        found = [
            entry
            for entry in folder.iterdir()
            if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".")
        ]
    except OSError as error:
        raise FileFormatError(
            f"{shown(folder)}: the folder cannot be read; check its permissions."
        ) from error
    if not found:
        raise FileFormatError(
            f"{shown(folder)}: no image in this folder, expected {', '.join(IMAGE_SUFFIXES)} files."
        )
    return sorted(found, key=_natural)


def _natural(path: Path) -> tuple[list[str | int], str]:
    """Order names by their numbers: text and numbers alternate, so like meets like."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], path.name


def _names_images_depth(path: Path) -> bool:
    suffix = path.suffix.lower()
    if path.is_dir():
        return is_zarr(path)
    return suffix == ".mat" or (suffix not in IMAGE_SUFFIXES and is_images_depth(path))


def _single(path: Path, image: FloatArray) -> FloatArray:
    """Sort out what one file alone may be."""
    if image.ndim == 2:
        return image[None]
    if image.ndim == 3 and image.shape[0] <= 2:
        return image
    if image.ndim == 4:
        if image.shape[1] not in (1, 2):
            raise FileFormatError(
                f"{shown(path)}: an array {_size(image)} with {image.shape[1]} sensors, expected "
                "(frame, 1 or 2 sensors, y, x); reorder its axes."
            )
        return image
    raise FileFormatError(
        f"{shown(path)}: {image.shape[0]} pages, expected 1 (sensor A) or 2 (A and B); give A and "
        "B as two files, a stack of sensor A alone as a folder of images, or as .npy with the axes "
        "(frame, 1, y, x)."
    )


def _pair(path_a: Path, path_b: Path, limits: Limits) -> FloatArray:
    """Put sensors A and B together: (2, y, x) or (frame, 2, y, x)."""
    image_a, image_b = _one_sensor(path_a, limits), _one_sensor(path_b, limits)
    if image_a.shape[-2:] != image_b.shape[-2:]:
        raise FileFormatError(
            f"{shown(path_a)} has {_size(image_a)} pixels but {shown(path_b)} has "
            f"{_size(image_b)}, expected sensors A and B of one frame size; crop or bin one."
        )
    frames_a, frames_b = _frames(image_a), _frames(image_b)
    if frames_a != frames_b:
        raise FileFormatError(
            f"{shown(path_a)} holds {frames_a} images but {shown(path_b)} holds {frames_b}, "
            "expected as many of sensor A as of B; give pairs."
        )
    if image_a.ndim != image_b.ndim:  # one image beside a stack of one
        shape = image_a.shape[-2:]
        image_a, image_b = image_a.reshape(shape), image_b.reshape(shape)
    return np.stack((image_a, image_b), axis=-3)


def _one_sensor(path: Path, limits: Limits) -> FloatArray:
    """Read (y, x) or (frame, y, x) of one sensor."""
    if _names_images_depth(path):
        kind = path.suffix.lower() or "data"
        raise FileFormatError(
            f"{shown(path)}: a {kind} file holds both sensors, expected an image, stack or folder "
            "of one sensor; give the file alone."
        )
    if path.is_dir():
        return _read_folder(path, limits)
    image = read_image(path, limits)
    if image.ndim == 4:
        raise FileFormatError(
            f"{shown(path)}: an array {_size(image)} with a sensor axis, expected one sensor's "
            "(y, x) or (frame, y, x); give this file alone."
        )
    return image


def _read_folder(folder: Path, limits: Limits) -> FloatArray:
    """Read all images of a folder, one frame each: (frame, y, x)."""
    files = list_images(folder)
    if len(files) > limits.max_pages:
        raise FileFormatError(
            f"{shown(folder)}: {len(files)} images, expected at most {limits.max_pages}; split the "
            "folder or raise Limits.max_pages."
        )
    frames: list[FloatArray] = []
    for file in files:
        image = read_image(file, limits)
        image = image[0] if image.ndim == 3 and image.shape[0] == 1 else image
        if image.ndim != 2:
            raise FileFormatError(
                f"{shown(file)}: {_size(image)} values, expected one image (y, x) in each file of "
                "a folder; give stacks as files."
            )
        if frames and image.shape != frames[0].shape:
            raise FileFormatError(
                f"{shown(files[0])} has {_size(frames[0])} pixels but {shown(file)} has "
                f"{_size(image)}, expected one size in a folder; sort the images."
            )
        frames.append(image)
        if len(frames) * image.nbytes > limits.max_bytes:
            raise FileFormatError(
                f"{shown(folder)}: the images take more than {limits.max_bytes / 2**30:.3g} GiB; "
                "split the folder or raise Limits.max_bytes."
            )
    return np.stack(frames)


def _frames(image: FloatArray) -> int:
    return image.shape[0] if image.ndim == 3 else 1


def _size(image: FloatArray) -> str:
    return " x ".join(str(side) for side in image.shape)
