"""A folder that a reconstruction wrote, read back into the same object.

The maps come from whichever format is there and says most: NPZ (all arrays), OME-Zarr, OME-TIFF.
What images do not hold (presence, deviations, flags) comes from `summary.json`, and from
`frames.csv` for a series that was written part by part.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from fociscope.errors import FileFormatError, one_line, printable
from fociscope.files import DEFAULT_LIMITS, find_format, require_file
from fociscope.files.arrays.zarr_array import KIND, ZarrArray, refuse_links
from fociscope.files.images.reader import read_planes
from fociscope.files.safe.limits import decoding
from fociscope.files.safe.records import read_record, read_typed_record
from fociscope.imager.geometry import Imager
from fociscope.networks.foci import FocusProbability
from fociscope.networks.guarantees import Guarantees
from fociscope.results.emitters import EMITTERS_TABLE
from fociscope.results.formats import NPZ, OME_TIFFS, OME_ZARR
from fociscope.results.parts import SavedFiles, check_parts
from fociscope.results.result import Reconstruction
from fociscope.results.tables import TABLES
from fociscope.results.writers import JOURNAL, SUMMARY
from fociscope.typing import Float32Array, Float64Array

__all__ = ["SavedCapture", "SavedLayer", "load_result", "read_batch_part"]

#: Of `LayeredMap`: as many axes as each array has besides the axis of captures.
_AXES = {
    "probability": 3,
    "presence": 1,
    "intensity": 3,
    "depth_um": 1,
    "depth_std_um": 1,
    "captures": 3,
    "reprojection": 3,
}
_PROBABILITY, _INTENSITY = 0, 1  # channels of the store, and places in OME_TIFFS

Finite = Annotated[float, Field(allow_inf_nan=False)]


class SavedLayer(BaseModel):
    """What `summary.json` says of a layer, as far as it is needed here."""

    presence: Annotated[float, Field(ge=0, le=1)]
    present: bool | None = None
    depth_um: Finite
    depth_std_um: Annotated[Finite, Field(ge=0)]


class SavedCapture(BaseModel):
    """What `summary.json` says of a capture."""

    layers: Annotated[list[SavedLayer], Field(min_length=1)]
    quality_flags: Annotated[
        str, Field(validation_alias=AliasChoices("quality_flags", "suspicion"))
    ] = ""
    """Under its former name, too, for one version."""
    self_check_residual: dict[str, Finite] = Field(default_factory=dict)
    name: str = ""
    folder: str = ""
    """Of a batch: the capture's own folder, below that of the batch."""
    time_s: Finite | None = None


class SavedResult(BaseModel):
    """What `summary.json` says of a reconstruction of one capture, or of many."""

    model: Annotated[str, Field(max_length=1000)]
    imager: Imager
    precision: str = "float32"
    warnings: tuple[str, ...] = ()
    captures: list[SavedCapture] = Field(default_factory=list)
    is_series: bool | None = None
    """Whether the maps have an axis of captures; None in summaries of earlier versions."""
    is_batch: bool = False
    """Whether each capture has a folder of its own."""
    kind: Annotated[str, Field(max_length=100)] = "layers"
    """`volume` of a volume on a grid of depths."""
    focus_probability: FocusProbability | None = None
    guarantees: Guarantees | None = None
    files: SavedFiles | None = None
    """Checksums of the files; None in summaries of earlier versions."""


class _Listed(BaseModel):
    """The parent of what the tables of a batch take of the summary of each capture."""

    model_config = ConfigDict(strict=True)


class _ListedLayer(_Listed):
    present: bool
    depth_um: Finite
    coverage: Finite
    foci: Annotated[int, Field(ge=0)]


class _ListedCapture(_Listed):
    layers: Annotated[list[_ListedLayer], Field(min_length=1)]
    self_check_residual: dict[str, Finite]
    plausible: bool


class _BatchPart(_Listed):
    captures: Annotated[list[_ListedCapture], Field(min_length=1)]
    is_series: bool
    inputs: list[dict[str, Any]] = Field(default_factory=list)


def read_batch_part(path: Path) -> dict[str, Any]:
    """Return the content of the `summary.json` of a capture of a batch, which was checked.

    Args:
        path: Path of the file.

    Raises:
        FileFormatError: If it is damaged.
    """
    what, advice = "the summary of a reconstruction", "reconstruct the captures again"
    read_typed_record(path, _BatchPart, what, advice=advice)
    return read_record(path, what, advice=advice)


def load_result(folder: Path | str) -> Reconstruction:
    """Read what `fociscope.reconstruct` or `Reconstruction.save` wrote.

    Depths, deviations and presences are exact where the folder holds `npz` or `ome-zarr`; otherwise
    they are those of `summary.json`, rounded to 0.01 um and 0.0001. `captures` and `reprojection`
    are NaN unless the folder holds `npz`; `residual` is then the one that the files state.

    Args:
        folder: Folder of the result, with `summary.json` and one of the formats `npz`, `ome-zarr`
            or `ome-tiff`.

    Returns:
        Map of one capture, or of a series along one leading axis.

    Raises:
        FileFormatError: If a file is missing, damaged or does not fit the others, or if the folder
            holds tables without maps.

    Examples:
        >>> import fociscope
        >>> scenes = fociscope.simulate(2, seed=0)
        >>> result = fociscope.load_model("layers-ab").reconstruct(scenes.captures)
        >>> result.save("map", formats=("ome-zarr", "csv"))
        >>> fociscope.load_result("map").depth_um.shape
        (2, 4)
    """
    folder = Path(folder)
    if (folder / EMITTERS_TABLE).exists() and not (folder / "layers.csv").exists():
        raise FileFormatError(
            f"{printable(folder)}: holds emitters that were located, and no maps; read "
            f"them by load_emitters, or {EMITTERS_TABLE} as a table."
        )
    what = "the summary of a reconstruction"
    advice = "reconstruct the captures again"
    saved = read_typed_record(folder / SUMMARY, SavedResult, what, advice=advice)
    if saved.kind == "volume":
        raise FileFormatError(
            f"{printable(folder)}: holds a volume on a grid of depths, and no layers; read its "
            "arrays from reconstruction.npz or its images, and foci.csv as a table"
        )
    if saved.is_batch:
        places = dict.fromkeys(one.folder for one in saved.captures)
        first = printable(folder / next(iter(places), ""))
        raise FileFormatError(
            f"{printable(folder)}: holds a batch of {len(places)} capture(s), expected one result; "
            f"load one of its folders, such as {first}"
        )
    arrays = _arrays(folder, saved)
    layers, sensors = arrays["depth_um"].shape[-1], saved.imager.sensors
    lead, frame_px = arrays["depth_um"].shape[:-1], arrays["probability"].shape[-2:]
    has_captures = "captures" in arrays
    unknown = np.broadcast_to(np.float32(np.nan), (*lead, sensors, *frame_px))
    _check_shapes(folder, arrays, lead, layers, frame_px)
    rows = _frames(folder, saved, lead)
    return Reconstruction(
        probability=arrays["probability"],
        presence=arrays["presence"],
        intensity=arrays["intensity"],
        depth_um=arrays["depth_um"],
        depth_std_um=arrays["depth_std_um"],
        captures=arrays.get("captures", unknown),
        reprojection=arrays.get("reprojection", unknown),
        imager=saved.imager,
        model=saved.model,
        precision=saved.precision,
        quality_flags=np.array([row["quality_flags"] for row in rows], dtype=np.str_).reshape(lead),
        warnings=saved.warnings,
        names=tuple(row["name"] for row in rows) if any(row["name"] for row in rows) else (),
        time_s=_times(rows),
        saved_residual=None if has_captures else _residual(rows, lead, sensors),
        focus_probability=saved.focus_probability,
        guarantees=saved.guarantees,
    )


def _arrays(folder: Path, saved: SavedResult) -> dict[str, Float32Array]:
    """Return the arrays of a map from the format that says most."""
    readers: tuple[
        tuple[tuple[str, ...], Callable[[Path, SavedResult], dict[str, Float32Array]]], ...
    ] = (
        ((NPZ,), _from_npz),
        ((OME_ZARR,), _from_zarr),
        ((OME_TIFFS[_PROBABILITY], OME_TIFFS[_INTENSITY]), _from_tiffs),
    )
    for names, read in readers:
        if (folder / names[0]).exists():
            _check_files(folder, saved, names)
            return read(folder, saved)
    possible = ", ".join(names[0] for names, _ in readers)
    raise FileFormatError(
        f"{printable(folder)}: holds no maps ({possible}), expected one of them; reconstruct again "
        "with the format npz, ome-zarr or ome-tiff",
        fields=("formats",),
    )


def _check_files(folder: Path, saved: SavedResult, names: Sequence[str]) -> None:
    """Hold files against their checksums, unless they may have grown since."""
    if not (folder / JOURNAL).exists():
        check_parts(folder, saved.files, names)


def _from_npz(folder: Path, _: SavedResult) -> dict[str, Float32Array]:
    path = require_file(folder / NPZ)
    form = find_format(path)
    if form is None or form.open_arrays is None:
        raise FileFormatError(f"{printable(path)}: no NPZ archive; reconstruct again.")
    with form.open_arrays(path, DEFAULT_LIMITS) as source:
        held = source.claims(tuple(_AXES))
        missing = [name for name in _AXES if name not in held]
        if missing:
            raise FileFormatError(
                f"{printable(path)}: lacks {', '.join(missing)}, expected the arrays of a "
                "reconstruction; reconstruct again."
            )
        return {name: _finite(path, name, source.read(name)) for name in _AXES}


def _from_zarr(folder: Path, _: SavedResult) -> dict[str, Float32Array]:
    store = folder / OME_ZARR
    with decoding(store, KIND):
        refuse_links(store)
    opened = {
        name: ZarrArray.open(store, name, is_complete=True)
        for name in ("0", "depth_um", "depth_std_um", "presence")
    }
    values = {
        name: _finite(
            store, name, array.read(tuple(slice(0, n) for n in array.shape), DEFAULT_LIMITS)
        )
        for name, array in opened.items()
    }
    image = values.pop("0")
    if image.ndim not in (4, 5) or image.shape[-4] <= _INTENSITY:
        raise FileFormatError(
            f"{printable(store)}: an image of the shape {image.shape}, expected (channel, layer, "
            "y, x) or (frame, channel, layer, y, x); reconstruct again."
        )
    return {
        **values,
        "probability": image[..., _PROBABILITY, :, :, :],
        "intensity": image[..., _INTENSITY, :, :, :],
    }


def _from_tiffs(folder: Path, saved: SavedResult) -> dict[str, Float32Array]:
    captures = saved.captures
    if not captures or len({len(one.layers) for one in captures}) > 1:
        raise FileFormatError(
            f"{printable(folder / SUMMARY)}: says nothing of the captures' layers, which the "
            "images need; reconstruct again."
        )
    layers = len(captures[0].layers)

    def stated(name: str) -> Float32Array:
        return np.array([[getattr(z, name) for z in c.layers] for c in captures], np.float32)

    values = {name: stated(name) for name in ("presence", "depth_um", "depth_std_um")}
    # A presence that was rounded up to the threshold is that of an absent layer all the same.
    is_absent = np.array([[layer.present is False for layer in c.layers] for c in captures])
    below = np.nextafter(np.float32(0.5), np.float32(0))
    values["presence"][is_absent] = np.minimum(values["presence"][is_absent], below)
    for name, file in (("probability", _PROBABILITY), ("intensity", _INTENSITY)):
        path = folder / OME_TIFFS[file]
        planes = _finite(path, name, read_planes(path))
        if len(planes) != len(captures) * layers:
            raise FileFormatError(
                f"{printable(path)}: {len(planes)} planes, expected {len(captures)} x {layers} as "
                f"{SUMMARY} beside it says; reconstruct again."
            )
        values[name] = planes.reshape(len(captures), layers, *planes.shape[-2:])
    is_series = len(captures) > 1 if saved.is_series is None else saved.is_series
    return values if is_series else {name: array[0] for name, array in values.items()}


def _finite(path: Path, name: str, values: Any) -> Float32Array:
    array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        raise FileFormatError(f"{printable(path)}: {name} is not finite; reconstruct again.")
    return array


def _check_shapes(
    folder: Path,
    arrays: dict[str, Float32Array],
    lead: tuple[int, ...],
    layers: int,
    frame_px: tuple[int, ...],
) -> None:
    """Refuse arrays that do not belong to each other."""
    for name, array in arrays.items():
        axes = _AXES[name]
        expected = (*lead, layers, *(frame_px if axes == 3 else ()))
        if name in ("captures", "reprojection"):
            expected = (*lead, array.shape[-3] if array.ndim > 2 else 0, *frame_px)
        if array.shape != expected or 0 in array.shape:
            raise FileFormatError(
                f"{printable(folder)}: {name} of the shape {array.shape}, expected {expected} as "
                "the other arrays have; reconstruct again."
            )


def _frames(folder: Path, saved: SavedResult, lead: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return what summary or `frames.csv` say of each capture."""
    count = int(np.prod(lead))
    if len(saved.captures) == count:
        return [
            {
                "name": one.name,
                "time_s": one.time_s,
                "quality_flags": one.quality_flags,
                "residual": [one.self_check_residual.get(sensor) for sensor in "AB"],
            }
            for one in saved.captures
        ]
    table = folder / "frames.csv"
    is_stated = any(one.name == table.name for one in saved.files or ())
    if is_stated or os.path.lexists(table):
        _check_files(folder, saved, [table.name])
        rows = _table(require_file(table))
        if len(rows) == count:
            return rows
    nothing = {"name": "", "time_s": None, "quality_flags": "", "residual": [None, None]}
    return [nothing] * count


def _table(path: Path) -> list[dict[str, Any]]:
    """Read `frames.csv`."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                {
                    "name": row["name"],
                    "time_s": float(row["time_s"]) if row.get("time_s") else None,
                    "quality_flags": row.get("quality_flags", row.get("suspicion", "")),
                    "residual": [
                        float(row[name]) if row[name] else None
                        for name in ("residual_a", "residual_b")
                    ],
                }
                for row in csv.DictReader(stream)
            ]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FileFormatError(
            f"{printable(path)}: no table of frames ({one_line(error, 80)}), expected the columns "
            f"{', '.join(TABLES[path.name])}; reconstruct again."
        ) from None


def _residual(rows: list[dict[str, Any]], lead: tuple[int, ...], sensors: int) -> Float32Array:
    stated = np.array([row["residual"][:sensors] for row in rows], dtype=np.float32)
    return stated.reshape(*lead, sensors)


def _times(rows: list[dict[str, Any]]) -> Float64Array | None:
    times = [row["time_s"] for row in rows]
    return None if not times or None in times else np.array(times, dtype=np.float64)
