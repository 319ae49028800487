"""The published `images_depth` layout in `.mat` files: v5 and v7.3 in, v5 out.

| variable | one sample | here |
|---|---|---|
| `tumorImage_noPSF` | layer x y x x | `raw` |
| `tumorImage_withPSF_A`, `tumorImage_withPSF_B` | y x x | `captures`, sensor A then B |
| `depth_map` | layer x y x x, mm | `depth_map_um` |
| `zdist_PSF` | 1 x layer, mm from sensor A | `depth_um` |

Samples are counted along the first or along the last axis. Source: the README of
anwar-lab-ucb/3D-Reconstruction-of-Cellular-Images. Only these files use mm; memory holds um.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.io

from fociscope.errors import FileFormatError, FociscopeError
from fociscope.files.atomic import atomic_path
from fociscope.files.hdf5 import Hdf5Source, is_hdf5
from fociscope.files.limits import DEFAULT_LIMITS, Limits, check_claim, require_file, shown
from fociscope.files.mat5 import HEADER_TEXT_BYTES, Mat5Source, header_text, is_mat5
from fociscope.files.mat_axes import Placed, Role, find_order

__all__ = ["ImagesDepth", "is_mat", "read_images_depth", "write_images_depth"]

FloatArray = npt.NDArray[np.float32]

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
_NAMES = tuple(_ROLES)

_UM_PER_MM = 1000.0
_DEEPEST_MM = 50.0  # far beyond any chip-scale imager: such numbers are um written as mm
_MOST_V5_BYTES = 2**31 - 1  # MATLAB reads no larger variable from a v5 file
_OUR_HEADER = b"MATLAB 5.0 MAT-file, images_depth layout, samples along the first axis (Fociscope)"


@dataclass(frozen=True)
class ImagesDepth:
    """Samples of the published layout, sample axis first, float32; None where a file lacks them.

    Attributes:
        captures: sensor images, (sample, sensor, y, x), sensor A alone or A and B.
        raw: layer images before blur, (sample, layer, y, x).
        depth_map_um: depth where cells are, 0 elsewhere, (sample, layer, y, x), um.
        depth_um: distance of each layer from sensor A, (sample, layer), um.
    """

    captures: FloatArray
    raw: FloatArray | None = None
    depth_map_um: FloatArray | None = None
    depth_um: FloatArray | None = None

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


def is_mat(path: Path) -> bool:
    """Return whether `path` is a MAT v5 or v7.3 (HDF5) file, judged by its first bytes.

    Raises:
        FileFormatError: the file is missing, empty or not readable.
    """
    path = require_file(path)
    return is_hdf5(path) or is_mat5(path)


def read_images_depth(path: Path, limits: Limits = DEFAULT_LIMITS) -> ImagesDepth:
    """Read a `.mat` file of the published layout.

    Args:
        path: MAT v5 or v7.3; a single sample, or samples along the first or the last axis.
        limits: what the file may claim, all its variables together.

    Raises:
        FileFormatError: missing, damaged, unsafe or too large; sensor A is not in it; the shapes do
            not fit together or leave open which axis counts the samples; depths are not mm.
    """
    path = require_file(path)
    if is_hdf5(path):
        with Hdf5Source.open(path, limits) as hdf5:
            return _read(path, hdf5, limits, samples_first=False)
    if is_mat5(path):
        ours = header_text(path) == _OUR_HEADER
        with Mat5Source.open(path) as mat5:
            return _read(path, mat5, limits, samples_first=ours)
    raise FileFormatError(
        f"{shown(path)}: not a MAT v5 or v7.3 file, expected one of the published images_depth "
        "layout; save it from MATLAB with -v7 or -v7.3."
    )


def _read(
    path: Path, source: Hdf5Source | Mat5Source, limits: Limits, samples_first: bool
) -> ImagesDepth:
    """Check all claims of an open file, then read variable by variable."""
    claims = source.claims(_NAMES)
    if SENSOR_A not in claims:
        raise FileFormatError(
            f"{shown(path)}: has no variable {SENSOR_A}, expected the published layout "
            f"({', '.join(_NAMES)}); rename the variables."
        )
    shapes = {name: shape for name, (shape, _) in claims.items()}
    placed = find_order(path, shapes, _ROLES, samples_first).placed
    decoded = 0
    for name, (_, dtype) in claims.items():
        claim = placed[name].shape
        # (sample, layer) counts as frames of one row, for long files are no large frames.
        claim = (claim[0], 1, claim[1]) if len(claim) == 2 else claim
        decoded += check_claim(path, claim, dtype, limits, name)
    if decoded > limits.max_bytes:
        raise FileFormatError(
            f"{shown(path)}: its variables take {decoded / 2**30:.3g} GiB, expected at most "
            f"{limits.max_bytes / 2**30:.3g} GiB; split the file or raise Limits.max_bytes."
        )
    images = {name: _to_memory(source.read(name), place) for name, place in placed.items()}
    for name in (DEPTH_MAP, DEPTH):
        if name in images:
            _check_mm(path, name, images[name])
            images[name] *= np.float32(_UM_PER_MM)
    sensors = [images[name] for name in (SENSOR_A, SENSOR_B) if name in images]
    return ImagesDepth(
        captures=np.stack(sensors, axis=1),
        raw=images.get(RAW),
        depth_map_um=images.get(DEPTH_MAP),
        depth_um=images.get(DEPTH),
    )


def _to_memory(array: npt.NDArray[np.generic], place: Placed) -> FloatArray:
    """Return a float32 copy with the sample axis first."""
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, judged elsewhere
        moved = np.moveaxis(array, -1, 0) if place.samples_last else array
        return np.array(moved, dtype=np.float32, order="C").reshape(place.shape)


def _check_mm(path: Path, name: str, depth_mm: FloatArray) -> None:
    deepest = float(np.max(depth_mm, initial=0.0, where=np.isfinite(depth_mm)))
    if deepest > _DEEPEST_MM:
        raise FileFormatError(
            f"{shown(path)}: {name} goes up to {deepest:g}, expected mm and at most "
            f"{_DEEPEST_MM:g}; these look like um, divide by 1000."
        )


def write_images_depth(path: Path, data: ImagesDepth, overwrite: bool = False) -> None:
    """Write MAT v5 with the published names, shapes and mm; the same content gives the same bytes.

    Shapes on disk: (sample, layer, y, x), (sample, y, x), (sample, layer), all float32, not
    compressed. What is None in `data` is left out.

    Raises:
        OutputExistsError: `path` exists and `overwrite` is False.
        FociscopeError: the disk refuses, or a variable is larger than MAT v5 can hold.
    """
    path = Path(path)
    variables = {SENSOR_A: data.captures[:, 0]}
    if data.captures.shape[1] == 2:
        variables[SENSOR_B] = data.captures[:, 1]
    if data.raw is not None:
        variables[RAW] = data.raw
    if data.depth_map_um is not None:
        variables[DEPTH_MAP] = data.depth_map_um / np.float32(_UM_PER_MM)
    if data.depth_um is not None:
        variables[DEPTH] = data.depth_um / np.float32(_UM_PER_MM)
    _check_v5_size(path, variables)
    arrays = {
        name: np.asarray(variables[name], dtype=np.float32) for name in _NAMES if name in variables
    }
    with atomic_path(path, overwrite) as temporary, temporary.open("wb") as stream:
        scipy.io.savemat(stream, arrays, format="5", do_compression=False, oned_as="row")
        stream.seek(0)  # scipy writes the date here
        stream.write(struct.pack(f"{HEADER_TEXT_BYTES}s", _OUR_HEADER.ljust(HEADER_TEXT_BYTES)))


def _check_v5_size(path: Path, variables: Mapping[str, npt.NDArray[np.generic]]) -> None:
    for name, array in variables.items():
        if array.size * 4 > _MOST_V5_BYTES:
            raise FociscopeError(
                f"{shown(path)}: {name} takes {array.size * 4 / 2**30:.3g} GiB, expected at most 2 "
                "for a MAT v5 file; write fewer samples per file."
            )
