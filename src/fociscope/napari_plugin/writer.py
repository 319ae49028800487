"""napari saves a reconstruction: the files that `fociscope reconstruct` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fociscope.errors import FociscopeError
from fociscope.napari_plugin.transforms import KEY, LayerData
from fociscope.results.result import Reconstruction

__all__ = ["write_result"]


def write_result(path: str, layers: list[LayerData]) -> list[str]:
    """Write the reconstruction that layers belong to into a new folder, or nothing at all.

    Args:
        path: the folder; it must not exist, or be empty.
        layers: some or all of those that the widget made of one reconstruction; others do not
            matter.

    Returns:
        The files.

    Raises:
        FociscopeError: the layers come from no reconstruction, or from more than one.
        OutputExistsError: the folder holds something.
    """
    results = list({id(r): r for r in map(_result, layers) if r is not None}.values())
    if len(results) != 1:
        found = "none" if not results else f"{len(results)}"
        raise FociscopeError(
            f"a layered map is saved from the layers of one reconstruction, and {found} is among "
            "those chosen; select layers of one run of 'Reconstruct captures'"
        )
    folder = Path(path)
    results[0].save(folder)
    return sorted(str(file) for file in folder.iterdir())


def _result(layer: LayerData) -> Reconstruction | None:
    result: Any = layer[1].get("metadata", {}).get(KEY, {}).get("result")
    return result if isinstance(result, Reconstruction) else None
