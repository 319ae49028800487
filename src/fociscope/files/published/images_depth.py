"""The published `images_depth` layout, out of MAT v5, MAT v7.3, HDF5 and Zarr.

| variable | one sample | here |
|---|---|---|
| `tumorImage_noPSF` | layer x y x x | `raw` |
| `tumorImage_withPSF_A`, `tumorImage_withPSF_B` | y x x | `captures`, sensor A then B |
| `depth_map` | layer x y x x, mm | `depth_map_um` |
| `zdist_PSF` | 1 x layer, mm from sensor A | `depth_um` |

Samples are counted along the first or along the last axis. Source: the README of
anwar-lab-ucb/3D-Reconstruction-of-Cellular-Images. Only these files use mm; memory holds um.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError, printable
from fociscope.files.arrays._mat import Placed, Role, find_order
from fociscope.files.formats._sources import ArraySource, Part
from fociscope.files.formats._table import find_format
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits, check_claim
from fociscope.typing import Float32Array

__all__ = [
    "DEPTH",
    "DEPTH_MAP",
    "NAMES",
    "RAW",
    "SENSOR_A",
    "SENSOR_B",
    "UM_PER_MM",
    "ImagesDepth",
    "ImagesDepthFile",
    "checked",
    "read_images_depth",
]


RAW = "tumorImage_noPSF"
SENSOR_A = "tumorImage_withPSF_A"
SENSOR_B = "tumorImage_withPSF_B"
DEPTH_MAP = "depth_map"
DEPTH = "zdist_PSF"
_ROLES: dict[str, Role] = {
    RAW: "layers",
    SENSOR_A: "sensor",
    SENSOR_B: "sensor",
    DEPTH_MAP: "layers",
    DEPTH: "depths",
}
NAMES = tuple(_ROLES)
UM_PER_MM = 1000.0
_DEEPEST_MM = 50.0  # far beyond any chip-scale imager: such numbers are um written as mm
_ROUNDING_MM = 1e-3  # what writing a depth with three digits after the point may cost, twice


@dataclass(frozen=True)
class ImagesDepth:
    """Samples of the published layout, sample axis first, float32; None where a file lacks them.

    Attributes:
        captures: sensor images, (sample, sensor, y, x), sensor A alone or A and B.
        raw: layer images before blur, (sample, layer, y, x).
        depth_map_um: depth where cells are, 0 elsewhere, (sample, layer, y, x), um.
        depth_um: distance of each layer from sensor A, (sample, layer), um.

    Examples:
        >>> import numpy as np
        >>> from fociscope.files import ImagesDepth
        >>> captures = np.zeros((3, 1, 51, 51), np.float32)
        >>> ImagesDepth(captures, depth_um=np.full((3, 4), 250, np.float32)).captures.shape
        (3, 1, 51, 51)
    """

    captures: Float32Array
    raw: Float32Array | None = None
    depth_map_um: Float32Array | None = None
    depth_um: Float32Array | None = None

    def __post_init__(self) -> None:
        """Hold the shapes against one another.

        Raises:
            ValueError: they do not fit.
        """
        if self.captures.ndim != 4 or self.captures.shape[1] not in (1, 2):
            raise ValueError(
                f"captures have the shape {self.captures.shape}, expected (sample, 1 or 2, y, x)"
            )
        samples, _, height, width = self.captures.shape
        layers: int | None = None
        for name in ("raw", "depth_map_um", "depth_um"):
            array = getattr(self, name)
            if array is None:
                continue
            layers = array.shape[1] if layers is None and array.ndim > 1 else layers
            expected = (samples, layers) + (() if name == "depth_um" else (height, width))
            if array.shape != expected:
                raise ValueError(f"{name} has the shape {array.shape}, expected {expected}")

    def part(self, start: int, stop: int) -> ImagesDepth:
        """Return the samples from number `start` to before `stop`."""
        arrays = {name: a[start:stop] for name, a in vars(self).items() if a is not None}
        return ImagesDepth(**arrays)


class ImagesDepthFile:
    """An open file of the published layout, of which any run of samples can be read.

    Attributes:
        path: The file, or the folder of a Zarr store.
        names: Variables that the file has, in the order of the layout.
        samples: Number of samples.
        is_sliceable: Whether a few samples cost little memory, however long the file is; false for
            MAT v5 with compression.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from fociscope.files import ImagesDepth, ImagesDepthFile, write_images_depth
        >>> write_images_depth(Path("1.h5"), ImagesDepth(np.ones((3, 2, 51, 51), np.float32)))
        >>> with ImagesDepthFile.open(Path("1.h5")) as file:
        ...     file.samples, file.read(1, 3).captures.shape
        (3, (2, 2, 51, 51))
    """

    def __init__(self, path: Path, source: ArraySource, limits: Limits) -> None:
        """Check all claims of an open source; use `ImagesDepthFile.open`."""
        self.path = path
        self._source = source
        self._limits = limits
        claims = source.claims(NAMES)
        if SENSOR_A not in claims:
            raise FileFormatError(
                f"{printable(path)}: has no variable {SENSOR_A}, expected the published layout "
                f"({', '.join(NAMES)}); rename the variables."
            )
        shapes = {name: shape for name, (shape, _) in claims.items()}
        order = find_order(path, shapes, _ROLES, source.samples_first)
        self._placed: Mapping[str, Placed] = order.placed
        self._dtypes = {name: dtype for name, (_, dtype) in claims.items()}
        self.names = tuple(name for name in NAMES if name in claims)
        self.samples = order.placed[SENSOR_A].shape[0]
        self.is_sliceable = all(source.is_sliceable(name) for name in self.names)
        self._check_memory(1, self.names)

    @classmethod
    @contextmanager
    def open(cls, path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[ImagesDepthFile]:
        """Open a file of any of the formats, judged by its content.

        Args:
            path: File, or the folder of a Zarr v3 group.
            limits: What the file may claim, all its variables together.

        Yields:
            The open file.

        Raises:
            FileFormatError: As for `read_images_depth`, as far as it shows before data are read.
        """
        path = Path(path)
        form = find_format(path)
        if form is None or form.open_arrays is None or not form.holds_layout:
            raise FileFormatError(
                f"{printable(path)}: not a MAT v5 or v7.3 file, expected one of the published "
                "images_depth layout (or HDF5, or a Zarr v3 group); save it from MATLAB with -v7 "
                "or -v7.3, from Octave with -v7 or -hdf5."
            )
        with form.open_arrays(path, limits) as source:
            yield cls(path, source, limits)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a variable in memory, sample axis first."""
        return self._placed[name].shape

    def read(self, start: int = 0, stop: int | None = None) -> ImagesDepth:
        """Read a run of samples.

        Args:
            start: Number of the first sample, from 0.
            stop: Number after the last sample; None for all that follow.

        Returns:
            The samples, with depths in um.

        Raises:
            FileFormatError: As for `read_images_depth`.
        """
        images = self._images(self.names, start, stop)
        for name in {DEPTH_MAP, DEPTH} & set(images):
            images[name] *= np.float32(UM_PER_MM)
        return ImagesDepth(
            captures=_captures(images),
            raw=images.get(RAW),
            depth_map_um=images.get(DEPTH_MAP),
            depth_um=images.get(DEPTH),
        )

    def read_captures(self, start: int = 0, stop: int | None = None) -> Float32Array:
        """Read the sensor images of a run of samples.

        Args:
            start: Number of the first sample, from 0.
            stop: Number after the last sample; None for all that follow.

        Returns:
            Captures, (sample, sensor, y, x).

        Raises:
            FileFormatError: As for `read_images_depth`.
        """
        names = tuple(name for name in (SENSOR_A, SENSOR_B) if name in self.names)
        return _captures(self._images(names, start, stop))

    def _images(
        self, names: tuple[str, ...], start: int, stop: int | None
    ) -> dict[str, Float32Array]:
        stop = self.samples if stop is None else min(stop, self.samples)
        whole = (start, stop) == (0, self.samples)
        self._check_memory(stop - start if self.is_sliceable else self.samples, names)
        images = {}
        for name in names:
            place = self._placed[name]
            part = None
            if not whole:
                part = Part(axis=-1 if place.samples_last else 0, start=start, stop=stop)
            array = self._source.read(name, part)
            images[name] = _to_memory(array, place, stop - start)
        return checked(self.path, images, start, depth_map=DEPTH_MAP, depth=DEPTH)

    def _check_memory(self, samples: int, names: tuple[str, ...]) -> None:
        """Hold what so many samples of some variables take against the limits."""
        decoded = 0
        for name in names:
            place = self._placed[name]
            claim = (samples, *place.shape[1:])
            # (sample, layer) counts as frames of one row, for long files are no large frames.
            claim = (claim[0], 1, claim[1]) if len(claim) == 2 else claim
            decoded += check_claim(self.path, claim, self._dtypes[name], self._limits, name)
        if decoded > self._limits.max_bytes:
            raise FileFormatError(
                f"{printable(self.path)}: its variables take {decoded / 2**30:.3g} GiB, expected "
                f"at most {self._limits.max_bytes / 2**30:.3g} GiB; split the file or raise "
                "Limits.max_bytes."
            )


def read_images_depth(path: Path, limits: Limits = DEFAULT_LIMITS) -> ImagesDepth:
    """Read a file of the published layout, its layers in the order of their depth.

    Args:
        path: MAT v5 or v7.3, HDF5, or the folder of a Zarr v3 group; a single sample, or samples
            along the first or the last axis.
        limits: What the file may claim, all its variables together.

    Returns:
        All samples, with depths in um.

    Raises:
        FileFormatError: If the file is missing, damaged, unsafe or too large, or lacks sensor A; if
            the shapes do not fit together or leave open which axis counts the samples; if values
            are NaN or infinite, depths are not in mm, or the depth map contradicts `zdist_PSF`.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from fociscope.files import ImagesDepth, read_images_depth, write_images_depth
        >>> write_images_depth(Path("1.mat"), ImagesDepth(np.ones((3, 2, 51, 51), np.float32)))
        >>> read_images_depth(Path("1.mat")).captures.shape
        (3, 2, 51, 51)
    """
    with ImagesDepthFile.open(path, limits) as file:
        return file.read()


def checked(
    path: Path, images: dict[str, Float32Array], first: int, *, depth_map: str, depth: str
) -> dict[str, Float32Array]:
    """Return the variables with the layers of each sample ordered from sensor A down.

    Args:
        path: the file, for messages.
        images: variable -> values, sample axis first, depths in mm.
        first: number of the first of these samples in the file, from 0, for messages.
        depth_map: name of the depth map, (sample, layer, y, x), mm where cells are, else 0.
        depth: name of the layers' depths, (sample, layer), mm.

    Raises:
        FileFormatError: NaN or infinity, depths that are negative or no mm, or a depth map that
            says otherwise than the depths of the layers.
    """
    for name, values in images.items():
        bad = np.flatnonzero(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
        if len(bad):
            raise FileFormatError(
                f"{printable(path)}: {name} holds NaN or infinity in "
                f"sample {first + int(bad[0]) + 1}, "
                "expected finite numbers; export it again."
            )
    for name in (depth_map, depth):
        if name in images:
            _check_mm(path, name, images[name])
    if depth not in images:
        return images
    if depth_map in images:
        _check_depth_map(path, images[depth_map], images[depth], first, (depth_map, depth))
    if (np.diff(images[depth], axis=1) >= 0).all():
        return images
    order = np.argsort(images[depth], axis=1, kind="stable")
    layers = images[depth].shape[1]
    return {
        name: values
        if name != depth and values.ndim != 4
        else np.take_along_axis(values, order.reshape(-1, layers, *[1] * (values.ndim - 2)), axis=1)
        for name, values in images.items()
    }


def _captures(images: Mapping[str, Float32Array]) -> Float32Array:
    return np.stack([images[name] for name in (SENSOR_A, SENSOR_B) if name in images], axis=1)


def _to_memory(array: npt.NDArray[np.generic], place: Placed, samples: int) -> Float32Array:
    """Return a float32 copy with the sample axis first."""
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, which is refused
        moved = np.moveaxis(array, -1, 0) if place.samples_last else array
        copy = np.array(moved, dtype=np.float32, order="C")
    return copy.reshape(samples, *place.shape[1:])


def _check_mm(path: Path, name: str, depth_mm: Float32Array) -> None:
    deepest, least = float(depth_mm.max()), float(depth_mm.min())
    if deepest > _DEEPEST_MM:
        raise FileFormatError(
            f"{printable(path)}: {name} goes up to {deepest:g}, expected mm and at most "
            f"{_DEEPEST_MM:g}; these look like um, divide by 1000."
        )
    if least < 0:
        raise FileFormatError(
            f"{printable(path)}: {name} goes down to {least:g}, expected depths of 0 mm and more, "
            "counted from sensor A; check the export."
        )


def _check_depth_map(
    path: Path, map_mm: Float32Array, depth_mm: Float32Array, first: int, names: tuple[str, str]
) -> None:
    """Where there are cells, the map must say the depth of the layer."""
    where = map_mm > 0
    apart = np.abs(map_mm - depth_mm[..., None, None]) > _ROUNDING_MM
    wrong = (where & apart).any(axis=(2, 3))
    if not wrong.any():
        return
    sample, layer = (int(index[0]) for index in np.nonzero(wrong))
    here = where[sample, layer] & apart[sample, layer]
    found = float(map_mm[sample, layer][here][0])
    raise FileFormatError(
        f"{printable(path)}: {names[0]} says {found:g} mm in layer {layer + 1} of sample "
        f"{first + sample + 1}, but {names[1]} says {float(depth_mm[sample, layer]):g} mm, "
        "expected the same; check which samples and layers belong together."
    )
