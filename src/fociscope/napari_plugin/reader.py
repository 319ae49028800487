"""napari opens files: captures, data sets of the published layout, saved maps and emitters.

napari asks by name alone, and asks the user wherever two readers answer to a name, so that
`napari.yaml` names few. Whatever is claimed here has been looked into and can be read.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeError, FociscopeWarning
from fociscope.files import ImagesDepthFile, list_suffixes, open_captures, read_images_depth
from fociscope.imager.geometry import Imager
from fociscope.napari_plugin.saved_emitters import is_saved_emitters, read_saved_emitters
from fociscope.napari_plugin.saved_map import SUMMARY, is_saved_map, is_saved_plane, read_saved_map
from fociscope.napari_plugin.saved_series import is_saved_series, read_saved_series
from fociscope.napari_plugin.saved_volume import is_saved_volume, read_saved_volume
from fociscope.napari_plugin.transforms import (
    Depths,
    LayerData,
    capture_image_planes,
    image_planes,
    sync_depths,
)
from fociscope.results.volume_samples import LIGHT_STD

__all__ = ["capture_layers", "data_set_layers", "get_reader", "sync_depths_in_napari"]

Reader = Callable[[Any], list[LayerData]]


def get_reader(path: str | list[str]) -> Reader | None:
    """Return what reads `path`, or None for what is none of ours.

    Args:
        path: one file, or sensor A's image and sensor B's to be opened together.
    """
    paths = [Path(p) for p in ([path] if isinstance(path, str) else path)]
    kinds: tuple[tuple[Callable[[Sequence[Path]], bool], Reader], ...] = (
        (_is_saved_map, lambda _: read_saved_map(paths[0].parent)),
        (_is_saved_volume, lambda _: read_saved_volume(paths[0].parent)),
        (_is_saved_series, lambda _: read_saved_series(paths[0].parent)),
        (_are_saved_emitters, lambda _: read_saved_emitters(paths[0].parent)),
        (_is_data_set, lambda _: data_set_layers(paths[0])),
        (_are_captures, lambda _: capture_layers(paths)),
    )
    for is_kind, read in kinds:
        if is_kind(paths):

            def read_and_follow(_: Any, read: Reader = read) -> list[LayerData]:
                layers = read(paths)
                sync_depths_in_napari()
                return layers

            return read_and_follow
    return None


def capture_layers(paths: Sequence[Path]) -> list[LayerData]:
    """Read captures into the planes of their sensors.

    Nothing in a picture says how far apart the sensors are: B is put where the reference imager has
    it until a reconstruction, whose imager is known, moves it. A pixel whose size the file does not
    state has the reference imager's.

    Args:
        paths: one or two, as for `fociscope reconstruct`; a single file that holds one image is
            sensor B's if its name ends in b, as in `sensor_b.tif`.

    Raises:
        FileFormatError: these are no captures.
    """
    reference = Imager.reference()
    with open_captures(paths) as series:
        captures = series.read()
        pitch_um = series.pixel_size_um or reference.square_pitch_um
        is_single = series.is_single
    is_b = len(paths) == 1 and captures.shape[1] == 1 and paths[0].stem.lower().endswith("b")
    return capture_image_planes(
        captures[0] if is_single else captures,
        gap_um=reference.gap_um,
        pixel_pitch_um=pitch_um,
        sensors="B" if is_b else "AB",
        metadata={"files": [str(path) for path in paths]},
    )


def data_set_layers(path: Path) -> list[LayerData]:
    """Read a data set of the published layout: captures, layers and depth maps.

    The layout says neither how large a pixel is nor how far apart the sensors are; the reference
    imager's are taken.

    Raises:
        FileFormatError: it is none, or damaged.
    """
    reference = Imager.reference()
    pitch_um, gap_um = reference.square_pitch_um, reference.gap_um
    data = read_images_depth(path)
    if data.depth_um is None and (data.raw is not None or data.depth_map_um is not None):
        warnings.warn(
            f"{path.name}: no depths (zdist_PSF) in this file; its layers have no place in space "
            "and are left out",
            FociscopeWarning,
            stacklevel=2,
        )
    first = 0 if len(data.captures) == 1 else slice(None)
    known = {"files": [str(path)]}
    made = capture_image_planes(
        data.captures[first], gap_um=gap_um, pixel_pitch_um=pitch_um, metadata=known
    )
    if data.depth_um is None:
        return made
    where = Depths(data.depth_um[first])
    deepest_um = max(gap_um, float(data.depth_um.max()))
    for name, stack, visible in (
        ("depth map", data.depth_map_um, data.raw is None),
        ("light", data.raw, True),
    ):
        if stack is None:
            continue
        most = deepest_um if name == "depth map" else float(stack.max()) or 1.0
        made += image_planes(
            stack[first],
            where,
            name=name,
            pixel_pitch_um=pitch_um,
            deepest_um=deepest_um,
            limits=(0.0, most),
            gamma=1.0 if name == "depth map" else 0.5,
            visible=visible,
            metadata=known,
        )
    return made


def _is_saved_map(paths: Sequence[Path]) -> bool:
    path = paths[0]
    return (
        len(paths) == 1
        and (path.name == SUMMARY or is_saved_plane(path))
        and is_saved_map(path.parent)
    )


def _is_saved_volume(paths: Sequence[Path]) -> bool:
    path = paths[0]
    return (
        len(paths) == 1
        and (path.name in (SUMMARY, LIGHT_STD) or is_saved_plane(path))
        and is_saved_volume(path.parent)
    )


def _is_saved_series(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and paths[0].name == SUMMARY and is_saved_series(paths[0].parent)


def _are_saved_emitters(paths: Sequence[Path]) -> bool:
    return len(paths) == 1 and is_saved_emitters(paths[0])


def _is_data_set(paths: Sequence[Path]) -> bool:
    if len(paths) != 1 or paths[0].suffix.lower() not in list_suffixes("dataset"):
        return False
    try:
        with ImagesDepthFile.open(paths[0]):
            return True
    except FociscopeError:
        return False


def _are_captures(paths: Sequence[Path]) -> bool:
    images = list_suffixes("image")
    if is_saved_plane(paths[0]) or any(path.suffix.lower() not in images for path in paths):
        return False
    try:
        with open_captures(paths):
            return True
    except FociscopeError:
        return False


def sync_depths_in_napari() -> None:
    """Let the plates of a series follow the frame, where napari's window runs."""
    napari = sys.modules.get("napari")
    viewer = None if napari is None else napari.current_viewer()
    if viewer is not None:
        sync_depths(viewer)
