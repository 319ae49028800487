"""What programs whose axes lie otherwise say of an HDF5 data set: NWB and Igor Pro.

Sources: NWB's schema 2, `ImageSeries`, whose data are (frame, x, y); Igor Pro's manual, chapter
"Igor HDF5 Guide", "HDF5 Images Versus Igor Images".
"""

from __future__ import annotations

from typing import Any

from fociscope.errors import FileFormatError

__all__ = ["program_axes", "small_attributes"]

_LONGEST_ATTRIBUTE = 2**16
_NWB_SERIES = ("ImageSeries", "OnePhotonSeries", "TwoPhotonSeries")


def small_attributes(item: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """Return those attributes of an object that are there, and short enough to be believed."""
    found: dict[str, Any] = {}
    for key in keys:
        if key in item.attrs and item.attrs.get_id(key).get_storage_size() <= _LONGEST_ATTRIBUTE:
            said = item.attrs[key]
            found[key] = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return found


def program_axes(where: str, item: Any) -> dict[str, Any]:
    """Return the axes of a data set by the program that wrote it, and a note; {} of most.

    Args:
        where: File and data set, for messages.
        item: Open data set that does not name its axes.

    Raises:
        FileFormatError: If it is an image of Igor Pro, which x may lead, or y.
    """
    kind = small_attributes(item.parent, ("neurodata_type",)).get("neurodata_type")
    if kind in _NWB_SERIES and item.ndim == 3 and item.name.rpartition("/")[2] == "data":
        note = (
            f"{where}: taken as (frame, x, y), as NWB's {kind} is defined; if it was saved as "
            "(frame, y, x), say so by an attribute axes of the data set, 't,y,x'."
        )
        return {"axes": ["t", "x", "y"], "note": note}
    is_image = small_attributes(item, ("CLASS",)).get("CLASS") == "IMAGE"
    if "IGORWaveType" in item.attrs and item.ndim > 1 and not is_image:
        axes = "x,y,t"[: 2 * item.ndim - 1]
        raise FileFormatError(
            f"{where}: a wave of Igor Pro, whose first axis is x, or y where it was saved with "
            "/TRAN, which the file does not tell, expected named axes; add an attribute axes to "
            f"the data set, '{axes}' or '{axes.replace('x,y', 'y,x')}', or save it as TIFF."
        )
    return {}
