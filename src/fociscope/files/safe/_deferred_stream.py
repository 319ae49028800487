"""A file for the HDF5 library, which does not survive a disk that refuses.

HDF5 keeps what it could not write and tries again when it closes, and again when Python ends. So a
refusal is kept here instead, HDF5 goes on as if nothing had happened, and the refusal is raised
when the file has been closed.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, BinaryIO, Self

__all__ = ["DeferredErrorStream"]


class DeferredErrorStream:
    """Passes reads and writes on until the first `OSError`, which it raises in the end."""

    def __init__(self, stream: BinaryIO) -> None:
        """Wrap a binary stream that is open for reading and writing."""
        self._stream = stream
        self._refusal: OSError | None = None

    def __enter__(self) -> Self:
        """Return the stream."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Raise what the disk said, in place of what HDF5 made of it."""
        self._do("flush")
        if self._refusal is not None and (error is None or isinstance(error, Exception)):
            raise self._refusal from None

    def _do(self, action: str, *values: Any, instead: Any = None) -> Any:
        if self._refusal is None:
            try:
                return getattr(self._stream, action)(*values)
            except OSError as refusal:
                self._refusal = refusal
        return instead

    def seek(self, offset: int, whence: int = 0) -> Any:
        """Go to a place."""
        return self._do("seek", offset, whence, instead=offset)

    def tell(self) -> Any:
        """Return the place."""
        return self._do("tell", instead=0)

    def write(self, data: Any) -> Any:
        """Write, or pretend to."""
        return self._do("write", data, instead=memoryview(data).nbytes)

    def readinto(self, buffer: Any) -> Any:
        """Read, or pretend to."""
        return self._do("readinto", buffer, instead=memoryview(buffer).nbytes)

    def read(self, size: int = -1) -> Any:
        """Read, or pretend to."""
        return self._do("read", size, instead=bytes(max(size, 0)))

    def truncate(self, size: int) -> Any:
        """Cut or extend, or pretend to."""
        return self._do("truncate", size, instead=size)

    def flush(self) -> Any:
        """Flush, or pretend to."""
        return self._do("flush")
