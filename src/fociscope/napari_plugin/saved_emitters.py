"""A folder that `fociscope locate` wrote, opened again: emitters as points, with their errors.

`summary.json` has the imager, the tables the places; tracks are lines, where there are any.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from fociscope.errors import FileFormatError, FociscopeError, printable
from fociscope.files import require_file
from fociscope.imager.geometry import Imager
from fociscope.localization import Emitters
from fociscope.localization.emitters import COLUMNS
from fociscope.napari_plugin.saved_map import SUMMARY, read_summary
from fociscope.napari_plugin.transforms import KEY, LayerData, depth_colour
from fociscope.results.emitters import EMITTERS_TABLE, TRACKS_TABLE, load_emitters, load_tracks
from fociscope.results.parts import JOURNAL, SavedFiles, check_parts
from fociscope.typing import Float64Array

__all__ = ["emitter_layers", "is_saved_emitters", "read_saved_emitters"]

#: Diameter of an emitter's mark, and width of its error bars, in um.
POINT_UM, BAR_UM = 30.0, 6.0
#: More points than napari turns smoothly are left to the table.
MOST_TABLE_BYTES = 32 * 2**20


class EmittersSummary(BaseModel):
    """What `summary.json` says of located emitters, as far as it is needed here."""

    kind: Literal["emitters"]
    imager: Imager
    files: SavedFiles | None = None


def is_saved_emitters(path: Path) -> bool:
    """Return whether a file is the table or the summary of emitters that can be opened."""
    if path.name not in (EMITTERS_TABLE, SUMMARY):
        return False
    try:
        read_summary(path.parent, EmittersSummary)
        require_file(path.parent / EMITTERS_TABLE)
    except FociscopeError:
        return False
    return True


def read_saved_emitters(folder: Path) -> list[LayerData]:
    """Return emitters as points, their errors as bars, and their tracks as lines.

    Raises:
        FileFormatError: a file is missing or damaged, or the table holds too many emitters.
    """
    table = folder / EMITTERS_TABLE
    if table.stat().st_size > MOST_TABLE_BYTES:
        raise FileFormatError(
            f"{printable(table)}: more emitters than can be shown as points; they are in the table"
        )
    summary = read_summary(folder, EmittersSummary)
    imager = summary.imager
    known = {"files": [str(folder)]}
    layers = emitter_layers(load_emitters(folder), imager, metadata=known)
    if layers and (folder / TRACKS_TABLE).is_file():
        if not (folder / JOURNAL).exists():  # or they may have grown since
            check_parts(folder, summary.files, (TRACKS_TABLE,))
        layers.append(_tracks(folder, imager, known))
    return layers


def emitter_layers(
    emitters: Emitters, imager: Imager, *, metadata: dict[str, Any] | None = None
) -> list[LayerData]:
    """Return emitters as a layer of points, below it their errors: a bar of one std to each side.

    What is known of each is in the features of the points; the colour is the depth.

    Args:
        emitters: of one capture or of a series.
        imager: that took them.
        metadata: more of what is known.

    Returns:
        Two layers, or none where there are no emitters.
    """
    if not len(emitters):
        return []
    series = len(emitters.misfit) > 1
    places = _places(emitters.frame, emitters.depth_um, emitters.y_um, emitters.x_um, imager)
    places = places if series else places[:, 1:]
    std = np.stack([emitters.depth_std_um, emitters.y_std_um, emitters.x_std_um], axis=1)
    features = {name: getattr(emitters, name) for name in COLUMNS}
    features["frame"] = emitters.frame + 1  # counted as in emitters.csv
    colours = [depth_colour(depth_um, imager.gap_um) for depth_um in emitters.depth_um]
    space = {
        "units": ("pixel",) * series + ("um", "um", "um"),
        "axis_labels": ("frame",) * series + ("depth", "y", "x"),
    }
    bars = {
        "name": "emitters, ± 1 std",
        "edge_color": np.repeat(colours, 3),
        "edge_width": BAR_UM,
        "vector_style": "line",
        "metadata": {KEY: {**(metadata or {}), "kind": "emitter errors"}},
    }
    looks = {
        "name": "emitters",
        "size": POINT_UM,
        "symbol": "disc",
        "face_color": colours,
        "border_color": "white",
        "features": features,
        "metadata": {KEY: {**(metadata or {}), "kind": "emitters"}},
    }
    return [
        (_bars(places, std), {**bars, **space}, "vectors"),
        (places, {**looks, **space}, "points"),
    ]


def _places(
    frame: Any, depth_um: Float64Array, y_um: Float64Array, x_um: Float64Array, imager: Imager
) -> Float64Array:
    """Return (emitter, 4): frame, depth, y and x from the outer corner of the first pixel."""
    pitch_y, pitch_x = imager.pitch_um
    return np.stack([frame, depth_um, y_um + pitch_y / 2, x_um + pitch_x / 2], axis=1)


def _bars(places: Float64Array, std_um: Float64Array) -> Float64Array:
    """Return (3 emitter, 2, axis): where each bar begins, and how far it goes; z, y, x in turns."""
    count, axes = places.shape
    along = np.zeros((count, 3, axes))
    along[:, range(3), range(axes - 3, axes)] = std_um
    return np.stack([places[:, None] - along, 2 * along], axis=2).reshape(-1, 2, axes)


def _tracks(folder: Path, imager: Imager, metadata: dict[str, Any]) -> LayerData:
    """Return the tracks as lines through the frames."""
    tracks = load_tracks(folder)
    columns = (tracks["depth_um"], tracks["y_um"], tracks["x_um"])
    places = _places(tracks["frame"] - 1, *columns, imager)
    looks = {
        "name": "tracks",
        "units": ("pixel", "um", "um", "um"),
        "axis_labels": ("frame", "depth", "y", "x"),
        "metadata": {KEY: {**metadata, "kind": "tracks"}},
    }
    return np.concatenate([tracks["track"][:, None], places], axis=1), looks, "tracks"
