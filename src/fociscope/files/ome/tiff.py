"""Layered results -> OME-TIFF: every viewer then knows pixel size and the depth of each plane."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from fociscope.files.ome.times import even_interval_s
from fociscope.files.safe.atomic import atomic_path
from fociscope.typing import Float32Array, Float64Array

__all__ = ["write_ome_tiff"]

_UNIFORM_UM = 1e-3  # spacings that differ by less are one spacing
_UUID_SPACE = uuid.UUID("6d9f3f3a-3f3e-5c0b-9d53-0b7f5a3c6f10")  # any fixed one


def write_ome_tiff(
    path: Path,
    array: npt.ArrayLike,
    *,
    pixel_pitch_um: float,
    depth_um: npt.ArrayLike,
    channel_name: str,
    time_s: npt.ArrayLike | None = None,
    overwrite: bool = False,
) -> None:
    """Write layers as an uncompressed float32 OME-TIFF; the same content gives the same bytes.

    PhysicalSizeX and Y are the pitch, each plane's PositionZ is its depth, all in um.
    PhysicalSizeZ is written only where all layers have one spacing. Each plane's DeltaT is the time
    since the first frame, and TimeIncrement is written only where all frames have one interval.

    Args:
        path: File to write, `.ome.tif` by custom.
        array: Planes, (z, y, x) or (t, z, y, x).
        pixel_pitch_um: Side of a pixel, um.
        depth_um: Distance of each plane from sensor A, (z,) for all t or (t, z), um.
        channel_name: What the values are, such as "probability".
        time_s: When each frame was taken, (t,) in s from any moment on; None if it is unknown.
        overwrite: Whether a file that exists is replaced.

    Raises:
        ValueError: If the shapes do not fit, or pitch or depths are not finite.
        OutputExistsError: If `path` exists and `overwrite` is False.
        FociscopeError: If the disk refuses.

    Examples:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from fociscope.files import read_pixel_size_um, write_ome_tiff
        >>> write_ome_tiff(
        ...     Path("map.ome.tif"),
        ...     np.zeros((2, 51, 51)),
        ...     pixel_pitch_um=55.0,
        ...     depth_um=[250, 500],
        ...     channel_name="probability",
        ... )
        >>> read_pixel_size_um(Path("map.ome.tif"))
        55.0
    """
    path = Path(path)
    layers = np.ascontiguousarray(array, dtype=np.float32)
    if layers.ndim not in (3, 4) or layers.size == 0:
        raise ValueError(f"layers have the shape {layers.shape}, expected (z, y, x), (t, z, y, x)")
    depth = np.asarray(depth_um, dtype=np.float64)
    if depth.shape not in (layers.shape[:-2], layers.shape[-3:-2]):
        raise ValueError(f"depths have the shape {depth.shape}, expected {layers.shape[:-2]}")
    if not np.isfinite(depth).all():
        raise ValueError("depths are not all finite, expected um")
    if not (np.isfinite(pixel_pitch_um) and pixel_pitch_um > 0):
        raise ValueError(f"the pixel pitch is {pixel_pitch_um}, expected um above 0")
    depth = np.broadcast_to(depth, layers.shape[:-2])
    planes = [round(float(position), 4) for position in depth.ravel()]
    metadata: dict[str, Any] = {
        "axes": "ZYX" if layers.ndim == 3 else "TZYX",
        "PhysicalSizeX": float(pixel_pitch_um),
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": float(pixel_pitch_um),
        "PhysicalSizeYUnit": "µm",
        "Channel": {"Name": channel_name},
        "Plane": {"PositionZ": planes, "PositionZUnit": ["µm"] * len(planes)},
        "Creator": "Fociscope",
        "UUID": _content_uuid(layers, planes, channel_name),
    }
    if time_s is not None and layers.ndim == 4:
        metadata |= _times(np.asarray(time_s, np.float64), layers.shape[1], metadata["Plane"])
    spacing = np.diff(depth, axis=-1)
    if spacing.size and np.ptp(spacing) < _UNIFORM_UM and spacing.flat[0] > 0:
        metadata["PhysicalSizeZ"] = round(float(spacing.mean()), 4)
        metadata["PhysicalSizeZUnit"] = "µm"
    with atomic_path(path, overwrite) as temporary:
        tifffile.imwrite(
            temporary,
            layers,
            ome=True,
            photometric="minisblack",
            # Pixels per centimetre, for the many programs that do not read OME-XML, such as ImageJ.
            resolution=(1e4 / pixel_pitch_um, 1e4 / pixel_pitch_um),
            resolutionunit="CENTIMETER",
            metadata=metadata,
            software="Fociscope",
        )


def _times(time_s: Float64Array, layers: int, plane: dict[str, Any]) -> dict[str, Any]:
    """Return metadata that state times (frame,) in s: of each plane, and the interval if it is one.

    Args:
        time_s: When each frame was taken, s.
        layers: Number of planes of each frame.
        plane: Metadata of the planes, to which these are added.
    """
    since_first = [round(float(t), 6) for t in np.repeat(time_s - time_s[0], layers)]
    every = {**plane, "DeltaT": since_first, "DeltaTUnit": ["s"] * len(since_first)}
    interval_s = even_interval_s(time_s)
    even = {} if interval_s is None else {"TimeIncrement": interval_s, "TimeIncrementUnit": "s"}
    return {"Plane": every, **even}


def _content_uuid(layers: Float32Array, planes: list[float], name: str) -> str:
    """Return an identifier that depends on the content alone, where tifffile would draw one."""
    digest = hashlib.sha256(layers.tobytes())
    digest.update(repr((layers.shape, planes, name)).encode())
    return str(uuid.uuid5(_UUID_SPACE, digest.hexdigest()))
