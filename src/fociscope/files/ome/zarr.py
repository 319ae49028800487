"""Layered results -> OME-Zarr 0.5, whole or frame by frame: one image, readable at every moment.

Format: Next-generation file formats (NGFF) 0.5 over the Zarr core specification, version 3. One
image of the axes (t,) c, z, y, x; beside its array `0`, figures of each layer lie in arrays of
their own, since the depths of layers are neither even nor the same in all frames.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fociscope.files.ome.times import even_interval_s
from fociscope.files.safe.atomic import atomic_tree
from fociscope.files.safe.disk import plain_disk_errors
from fociscope.typing import Float32Array

__all__ = ["Channel", "OmeZarrSeries", "write_ome_zarr"]

VERSION = "0.5"
LONGEST_CHUNK_PX = 512
_DESCRIPTION = "zarr.json"
_LONGEST_DESCRIPTION_BYTES = 2**20
_PARTIAL = ".partial"  # how zarr names a chunk that it is about to rename
_UNITS = {"presence": "probability"}


@dataclass(frozen=True)
class Channel:
    """What the values of a channel are, and how a viewer shows them."""

    name: str
    most: float
    """What is shown at full brightness; 0 is dark."""
    colour: str = "FFFFFF"
    """RRGGBB."""

    def omero(self) -> dict[str, Any]:
        """Return the channel as NGFF's `omero` describes it."""
        most = self.most if np.isfinite(self.most) and self.most > 0 else 1.0
        window = {"min": 0.0, "start": 0.0, "end": most, "max": most}
        return {"label": self.name, "color": self.colour, "active": True, "window": window}


def write_ome_zarr(
    path: Path,
    image: npt.ArrayLike,
    layers: Mapping[str, npt.ArrayLike],
    *,
    channels: Sequence[Channel],
    pixel_pitch_um: float,
    layer_um: float,
    time_s: npt.ArrayLike | None = None,
    about: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a whole result; the same content gives the same bytes.

    Args:
        path: of the store, `.ome.zarr` by custom.
        image: (c, z, y, x), or (t, c, z, y, x).
        layers: name -> (z,) or (t, z), such as `depth_um`.
        channels: one for each c.
        pixel_pitch_um: side of a pixel, um.
        layer_um: nominal distance of layers, um: the scale along z.
        time_s: when each frame was taken, (t,) in s; the scale along t where it is one interval.
        about: more to say of it, ready for JSON; stored as the attribute `fociscope`.
        overwrite: replace a store that is there already.

    Raises:
        ValueError: the shapes do not fit.
        OutputExistsError: `path` exists and `overwrite` is False.
        FociscopeError: the disk refuses.
    """
    values = np.asarray(image, dtype=np.float32)
    if values.ndim not in (4, 5) or values.shape[-4] != len(channels) or values.size == 0:
        raise ValueError(
            f"an image of the shape {values.shape} and {len(channels)} channels, expected "
            "(c, z, y, x) or (t, c, z, y, x)"
        )
    figures = {name: np.asarray(array, dtype=np.float32) for name, array in layers.items()}
    expected = (*values.shape[:-4], values.shape[-3])
    for name, array in figures.items():
        if array.shape != expected:
            raise ValueError(f"{name} has the shape {array.shape}, expected {expected}")
    attributes = _attributes(
        path.name.partition(".")[0],
        channels,
        (even_interval_s(time_s), layer_um, pixel_pitch_um),
        values.ndim == 5,
        about,
    )
    with atomic_tree(path, overwrite) as folder:
        _create(folder, values.shape, tuple(figures), attributes, frames_per_chunk=64)
        arrays = {"0": values, **figures}
        for name, array in arrays.items():
            _put(_opened(folder / name), array, 0)


class OmeZarrSeries:
    """An OME-Zarr image (t, c, z, y, x) that grows along t; a killed writer leaves it readable.

    Frames that are announced and not written yet read as NaN.
    """

    def __init__(self, path: Path) -> None:
        """Name the store; `create` makes it."""
        self.path = path
        self._arrays: dict[str, Any] = {}

    def create(
        self,
        frame_shape: tuple[int, int, int, int],
        layers: Sequence[str],
        *,
        channels: Sequence[Channel],
        pixel_pitch_um: float,
        layer_um: float,
        frames_per_chunk: int,
        interval_s: float | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Make the store of no frame.

        Args:
            frame_shape: (c, z, y, x).
            layers: names of figures of each layer.
            channels: one for each c.
            pixel_pitch_um: side of a pixel, um.
            layer_um: nominal distance of layers, um.
            frames_per_chunk: how many frames lie in one file; appended are whole multiples, but for
                the last time.
            interval_s: between frames, s: the scale along t; None if it is unknown or uneven.
            about: more to say of it, ready for JSON.
        """
        name = self.path.name.partition(".")[0]
        attributes = _attributes(
            name, channels, (interval_s, layer_um, pixel_pitch_um), True, about
        )
        with plain_disk_errors(self.path):
            self.path.mkdir(parents=True)
            _create(self.path, (0, *frame_shape), tuple(layers), attributes, frames_per_chunk)

    def cut(self, frames: int) -> tuple[int, int]:
        """Forget what lies behind so many frames; return the (y, x) size of a frame."""
        import zarr

        with plain_disk_errors(self.path):
            for leftover in self.path.rglob(f"*{_PARTIAL}"):
                leftover.unlink()
            group = zarr.open_group(self.path, mode="r+", zarr_format=3)
            self._arrays = {}
            frame_px = (0, 0)
            for name, array in group.arrays():
                self._forget(self.path / name / "c", -(-frames // array.chunks[0]))
                if array.shape[0] != frames:
                    array.resize((frames, *array.shape[1:]))
                if name == "0":
                    frame_px = (array.shape[-2], array.shape[-1])
            return frame_px

    def described(self) -> tuple[str, int]:
        """Return the checksum of all descriptions, the number of frames apart; and that number.

        Raises:
            ValueError: a description is none; as many others as decoders have.
        """
        digest, frames = hashlib.sha256(), []
        for file in (self.path / _DESCRIPTION, *sorted(self.path.glob(f"*/{_DESCRIPTION}"))):
            if file.stat().st_size > _LONGEST_DESCRIPTION_BYTES:
                raise ValueError(f"{file.parent.name}: a description too long")
            said = json.loads(file.read_bytes())
            if file.parent != self.path:
                frames.append(int(said["shape"].pop(0)))
            digest.update(json.dumps([file.parent.name, said], sort_keys=True).encode())
        return digest.hexdigest(), min(frames)

    def missing_chunk(self, frames: int) -> Path | None:
        """Return the first chunk along t that is not there, of those of so many frames."""
        for file in sorted(self.path.glob(f"*/{_DESCRIPTION}")):
            grid = json.loads(file.read_bytes())["chunk_grid"]
            for number in range(-(-frames // grid["configuration"]["chunk_shape"][0])):
                if not (chunk := file.parent / "c" / str(number)).exists():
                    return chunk
        return None

    @staticmethod
    def _forget(chunks: Path, keep: int) -> None:
        """Remove the chunks along t from number `keep` on."""
        for entry in chunks.iterdir() if chunks.is_dir() else ():
            if entry.name.isdecimal() and int(entry.name) >= keep:
                shutil.rmtree(entry)

    def append(self, image: Float32Array, layers: Mapping[str, Float32Array]) -> None:
        """Add frames; once it returns, they are on the disk.

        Args:
            image: (t, c, z, y, x).
            layers: name -> (t, z).

        Raises:
            FociscopeError: the disk refuses.
        """
        with plain_disk_errors(self.path):
            for name, array in {**layers, "0": image}.items():
                if name not in self._arrays:
                    self._arrays[name] = _opened(self.path / name)
                item = self._arrays[name]
                start = item.shape[0]
                item.resize((start + len(array), *item.shape[1:]))
                _put(item, array, start)
                # Frames that come one by one come fast: their figures, which tables hold as well,
                # are left to the system to write out.
                if name == "0" or item.chunks[0] > 1:
                    _sync_chunks(self.path / name / "c", start // item.chunks[0])


def _attributes(
    name: str,
    channels: Sequence[Channel],
    steps: tuple[float | None, float, float],
    is_series: bool,
    about: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the attributes of the group: NGFF's under `ome`, ours under `fociscope`.

    Args:
        name: of the image.
        channels: one for each c.
        steps: along t (s, None if unknown), z and y or x (um).
        is_series: whether there is an axis t.
        about: of ours.
    """
    interval_s, layer_um, pixel_pitch_um = steps
    unit = {} if interval_s is None else {"unit": "second"}
    axes: list[dict[str, str]] = [{"name": "t", "type": "time", **unit}] if is_series else []
    axes.append({"name": "c", "type": "channel"})
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    lead = [interval_s or 1.0, 1.0] if is_series else [1.0]
    scale = [*lead, layer_um, pixel_pitch_um, pixel_pitch_um]
    # An index is a pixel's centre; the outer edge of the frame's first pixel is 0 um.
    translation = [0.0 * s for s in lead] + [s / 2 for s in scale[len(lead) :]]
    placed = [
        {"type": "scale", "scale": scale},
        {"type": "translation", "translation": translation},
    ]
    return {
        "ome": {
            "version": VERSION,
            "multiscales": [
                {
                    "name": name,
                    "axes": axes,
                    "datasets": [{"path": "0", "coordinateTransformations": placed}],
                }
            ],
            "omero": {"channels": [channel.omero() for channel in channels]},
        },
        **({"fociscope": dict(about)} if about else {}),
    }


def _create(
    folder: Path,
    shape: tuple[int, ...],
    layers: tuple[str, ...],
    attributes: dict[str, Any],
    frames_per_chunk: int,
) -> None:
    """Make the group and its arrays, without any chunk."""
    import zarr
    from zarr.codecs import ZstdCodec

    group = zarr.create_group(folder, zarr_format=3, attributes=attributes)
    *lead, channels, depth, height, width = shape
    is_series = bool(lead)
    frames = (min(frames_per_chunk, lead[0]) if lead[0] else frames_per_chunk,) if is_series else ()
    # Frames that come one by one are one file each, all channels in it.
    together = channels if is_series and frames_per_chunk == 1 else 1
    side = [min(px, LONGEST_CHUNK_PX) for px in (height, width)]
    axes = ["t", "c", "z", "y", "x"] if is_series else ["c", "z", "y", "x"]
    wanted = {"0": (shape, (*frames, together, depth, *side), axes)}
    for name in layers:
        wanted[name] = ((*lead, depth), (*frames, depth), ["t", "z"] if is_series else ["z"])
    for name, (its_shape, chunks, names) in wanted.items():
        unit = _UNITS.get(name, "micrometer")
        group.create_array(
            name,
            shape=its_shape,
            dtype="float32",
            chunks=chunks,
            compressors=ZstdCodec(level=1, checksum=True),
            fill_value=float("nan"),
            dimension_names=names,
            attributes=None if name == "0" else {"units": unit},
            config={"write_empty_chunks": True},
        )


def _opened(folder: Path) -> Any:
    import zarr

    return zarr.open_array(folder, mode="r+", zarr_format=3, config={"write_empty_chunks": True})


def _put(item: Any, array: npt.NDArray[Any], start: int) -> None:
    """Write frames from `start` on, chunk by chunk.

    Where the disk refuses a chunk, zarr would go on writing the others after it has said so.
    """
    step = item.chunks[0]
    for first in range(0, len(array), step):
        part = array[first : first + step]
        item[start + first : start + first + len(part)] = part


def _sync_chunks(chunks: Path, first: int) -> None:
    """Have the chunks along t from number `first` on written to the disk itself."""
    number = first
    while (entry := chunks / str(number)).exists():
        for file in [entry] if entry.is_file() else entry.rglob("*"):
            if file.is_file():
                with file.open("rb+") as stream:
                    os.fsync(stream.fileno())
        number += 1
