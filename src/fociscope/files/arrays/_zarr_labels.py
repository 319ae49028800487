"""Names along an axis, out of a small Zarr array of text, as xarray keeps coordinates.

Format: text of one width (`<U4` in version 2, `fixed_length_utf32` in version 3), or of any width
behind the codec `vlen-utf8`; in one chunk of a few kB, bounded before zarr decodes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fociscope.files.arrays._chunk_bytes import COMPRESSORS, inflated_bytes
from fociscope.files.arrays._store_files import KIND, StoreFiles
from fociscope.files.arrays.zarr_array import DESCRIPTION, DESCRIPTION_V2, read_json
from fociscope.files.safe.limits import decoding

__all__ = ["read_labels"]

_MOST_LABELS = 16
_MOST_BYTES = 4096
_FIXED_WIDTH = re.compile(r"[<>]U\d{1,3}")
_VLEN = "vlen-utf8"
_PLAIN = ("bytes", _VLEN, *COMPRESSORS)


def read_labels(files: StoreFiles, name: str) -> tuple[str, ...]:
    """Return the texts of an array of one axis; none if it is not there, or of another kind.

    Args:
        files: Files of the store.
        name: Array in it.

    Raises:
        FileFormatError: If it is damaged.
    """
    is_v3 = bool(files.size(f"{name}/{DESCRIPTION}"))
    if not is_v3 and not files.size(f"{name}/{DESCRIPTION_V2}"):
        return ()
    with decoding(files.path, KIND):
        said = read_json(files, f"{name}/{DESCRIPTION if is_v3 else DESCRIPTION_V2}")
        found = _plain_v3(said) if is_v3 else _plain_v2(said)
        if found is None:
            return ()
        compressor, key = found
        size = files.size(f"{name}/{key}")
        if not size or size > _MOST_BYTES:
            return ()
        if compressor is not None:
            stored = files.read(f"{name}/{key}")
            if inflated_bytes(compressor, stored, _MOST_BYTES) > _MOST_BYTES:
                return ()
        values = files.opened_array(name, 3 if is_v3 else 2)[:]
        return tuple(str(value) for value in values)


def _plain_v2(said: Mapping[str, Any]) -> tuple[str | None, str] | None:
    """Return the compressor and the key of the one chunk; None if the array is of another kind."""
    filters = [one["id"] for one in said.get("filters") or ()]
    dtype = str(said.get("dtype"))
    is_text = filters == [_VLEN] if dtype == "|O" else not filters and _FIXED_WIDTH.fullmatch(dtype)
    compressor = None if said.get("compressor") is None else str(said["compressor"]["id"])
    if not is_text or not _is_one_chunk(said["shape"], said["chunks"]):
        return None
    return (compressor, "0") if compressor in (None, *COMPRESSORS) else None


def _plain_v3(said: Mapping[str, Any]) -> tuple[str | None, str] | None:
    """Return the same of version 3."""
    kind = said.get("data_type")
    kind = kind.get("name") if isinstance(kind, dict) else kind
    grid, keys = said["chunk_grid"]["configuration"], said["chunk_key_encoding"]["name"]
    if kind not in ("string", "fixed_length_utf32") or keys not in ("default", "v2"):
        return None
    codecs = [one["name"] if isinstance(one, dict) else one for one in said.get("codecs", ())]
    compressors = [one for one in codecs if one in COMPRESSORS]
    separator = (said["chunk_key_encoding"].get("configuration") or {}).get("separator", "/")
    sound = set(codecs) <= set(_PLAIN) and len(compressors) < 2
    if not sound or not _is_one_chunk(said["shape"], grid["chunk_shape"]):
        return None
    key = f"c{separator}0" if keys == "default" else "0"
    return (compressors[0] if compressors else None), key


def _is_one_chunk(shape: Any, chunk: Any) -> bool:
    """Whether an array has one axis, of a few values in one chunk."""
    return (
        isinstance(shape, list)
        and isinstance(chunk, list)
        and len(shape) == len(chunk) == 1
        and 0 < shape[0] <= chunk[0] <= _MOST_LABELS
    )
