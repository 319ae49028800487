"""Whether the values of the published layout hold together; the shapes have been judged before."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fociscope.errors import FileFormatError
from fociscope.files.limits import shown

__all__ = ["checked"]

FloatArray = npt.NDArray[np.float32]

_DEEPEST_MM = 50.0  # far beyond any chip-scale imager: such numbers are um written as mm
_ROUNDING_MM = 1e-3  # what writing a depth with three digits after the point may cost, twice


def checked(
    path: Path, images: dict[str, FloatArray], first: int, *, depth_map: str, depth: str
) -> dict[str, FloatArray]:
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
                f"{shown(path)}: {name} holds NaN or infinity in sample {first + int(bad[0]) + 1}, "
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


def _check_mm(path: Path, name: str, depth_mm: FloatArray) -> None:
    deepest, least = float(depth_mm.max()), float(depth_mm.min())
    if deepest > _DEEPEST_MM:
        raise FileFormatError(
            f"{shown(path)}: {name} goes up to {deepest:g}, expected mm and at most "
            f"{_DEEPEST_MM:g}; these look like um, divide by 1000."
        )
    if least < 0:
        raise FileFormatError(
            f"{shown(path)}: {name} goes down to {least:g}, expected depths of 0 mm and more, "
            "counted from sensor A; check the export."
        )


def _check_depth_map(
    path: Path, map_mm: FloatArray, depth_mm: FloatArray, first: int, names: tuple[str, str]
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
        f"{shown(path)}: {names[0]} says {found:g} mm in layer {layer + 1} of sample "
        f"{first + sample + 1}, but {names[1]} says {float(depth_mm[sample, layer]):g} mm, "
        "expected the same; check which samples and layers belong together."
    )
