"""The table of file formats: suffixes, signatures and openers, each in one place.

Captures, `fociscope info`, the watcher, the app and the napari plug-in all read it. A format from
outside the package is added by `FORMATS.register`, or by a plug-in under the entry-point group
`fociscope.formats`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fociscope.errors import FileFormatError
from fociscope.files.formats._sources import ArraySource
from fociscope.files.formats._stacks import Stack
from fociscope.files.safe.limits import Limits, require_file
from fociscope.registry import Registry
from fociscope.typing import Float32Array

__all__ = [
    "FORMATS",
    "Format",
    "FormatKind",
    "OpenStack",
    "find_format",
    "first_bytes",
    "image_format",
    "is_store",
    "list_suffixes",
]

HEAD_BYTES = 1024

FormatKind = Literal["image", "growing", "dataset", "file"]
"""Images and stacks; those that can be read while they are written; formats that may hold a data
set of the published layout; all that are one file each."""

OpenStack = Callable[[Path, Limits], AbstractContextManager[Stack]]
OpenArrays = Callable[[Path, Limits], AbstractContextManager[ArraySource]]
OpenNamed = Callable[[Path, str | None, Limits], AbstractContextManager[tuple[Stack, ...]]]


@dataclass(frozen=True)
class Format:
    """One file format. It gives either `open` (images and stacks) or `open_arrays` (named arrays).

    Every opener holds what the file claims against the limits before it decodes anything, and
    raises `FileFormatError` for whatever is wrong with the file
    (`fociscope.files.safe.limits.check_claim` and `decoding` do both).

    Attributes:
        name: Name in messages, such as "TIFF".
        suffixes: Lower-case endings of file names, with their dot.
        sniff: (path, first bytes) -> whether a file is of this format; the path exists. Of a folder
            there are no first bytes.
        open: (path, limits) -> context manager of a `Stack` of planes, for images and stacks.
        read: (path, limits) -> float32 (y, x) or (frame, y, x) of an image in one go; None for the
            planes of `open`.
        open_growing: As `open`, for a stack that is still being written, whose last plane may be
            incomplete; None if the format cannot be read so.
        open_arrays: (path, limits) -> context manager of an `ArraySource`, for files of named
            arrays.
        open_named: (path, name of an array or None, limits) -> context manager of the stack with
            the captures, or of sensor A's and B's; None for the array that fits by its shape.
        holds_layout: Whether data sets of the published layout come in this format.
        is_folder: Whether a file of this format is a folder, such as a Zarr store.

    Examples:
        >>> from fociscope.files import FORMATS
        >>> FORMATS["tiff"].suffixes
        ('.tif', '.tiff', '.lsm', '.stk')
    """

    name: str
    suffixes: tuple[str, ...]
    sniff: Callable[[Path, bytes], bool]
    open: OpenStack | None = None
    read: Callable[[Path, Limits], Float32Array] | None = None
    open_growing: OpenStack | None = None
    open_arrays: OpenArrays | None = None
    open_named: OpenNamed | None = None
    holds_layout: bool = False
    is_folder: bool = False

    def __post_init__(self) -> None:
        """Check the suffixes, and that there is exactly one way to open a file.

        Raises:
            FileFormatError: If a suffix is not lower-case with a dot, or there are two openers or
                none.
        """
        wrong = [s for s in self.suffixes if not s.startswith(".") or s != s.lower()]
        if wrong or not self.suffixes:
            raise FileFormatError(
                f"the format {self.name}: suffixes {', '.join(wrong) or 'missing'}, expected "
                "lower-case endings such as '.tif'; correct Format.suffixes.",
                fields=("suffixes",),
            )
        if (self.open is None) == (self.open_arrays is None):
            raise FileFormatError(
                f"the format {self.name}: {'no opener' if self.open is None else 'two openers'}, "
                "expected either open (images) or open_arrays (named arrays); give one.",
                fields=("open", "open_arrays"),
            )


FORMATS: Registry[Format] = Registry(
    "file format", group="fociscope.formats", error=FileFormatError
)
"""All file formats by name, in the order in which they are tried."""


def list_suffixes(kind: FormatKind) -> tuple[str, ...]:
    """Return the suffixes of the formats of one kind, lower-case, each once.

    Args:
        kind: "image" for images and stacks, "growing" for stacks that can be read while they are
            written, "dataset" for data sets of the published layout, "file" for every format that
            is one file and no folder.

    Returns:
        Suffixes in the order of the table.

    Examples:
        >>> from fociscope.files import list_suffixes
        >>> list_suffixes("image")
        ('.tif', '.tiff', '.lsm', '.stk', '.png', '.npy')
    """
    return tuple(
        dict.fromkeys(
            suffix for form in FORMATS.values() if _is_of(form, kind) for suffix in form.suffixes
        )
    )


def find_format(path: Path) -> Format | None:
    """Return the format of a file, or of a folder such as a Zarr store, by its content.

    Args:
        path: File or folder.

    Returns:
        The first format of the table that recognises it; None if none does.

    Raises:
        FileFormatError: If it is missing, empty or not readable, or a folder of no format.

    Examples:
        >>> import numpy as np
        >>> from fociscope.files import find_format
        >>> from pathlib import Path
        >>> np.save("a.npy", np.zeros((4, 4)))
        >>> find_format(Path("a.npy")).name
        'NPY'
    """
    store = _store_format(path)
    if store is not None:
        return store
    head = first_bytes(path)
    return next((f for f in FORMATS.values() if not f.is_folder and f.sniff(path, head)), None)


def image_format(path: Path, head: bytes) -> Format | None:
    """Return the format of images that a file is of, None if of none."""
    images = (form for form in FORMATS.values() if _is_of(form, "image") and not form.is_folder)
    return next((form for form in images if form.sniff(path, head)), None)


def is_store(path: Path) -> bool:
    """Return whether a folder is one file of a format, such as a Zarr store.

    Args:
        path: Folder, or any other path.

    Returns:
        True if it is a folder that a format of the table recognises.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.files import is_store
        >>> Path("scenes.zarr").mkdir(), Path("images").mkdir()
        (None, None)
        >>> is_store(Path("scenes.zarr")), is_store(Path("images"))
        (True, False)
    """
    return _store_format(path) is not None


def first_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, by which a format is recognised.

    Raises:
        FileFormatError: If it is missing, empty, a folder, or not readable.
    """
    with require_file(path).open("rb") as stream:
        return stream.read(HEAD_BYTES)


def _store_format(path: Path) -> Format | None:
    if not path.is_dir():
        return None
    return next((f for f in FORMATS.values() if f.is_folder and f.sniff(path, b"")), None)


def _is_of(form: Format, kind: FormatKind) -> bool:
    if kind == "image":
        return form.open is not None
    if kind == "growing":
        return form.open_growing is not None
    return form.holds_layout if kind == "dataset" else not form.is_folder
