"""SHA-256 of a file, or of a folder such as a Zarr store."""

import hashlib
from pathlib import Path

__all__ = ["sha256", "total_bytes"]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, or of a folder.

    That of a folder is the SHA-256 of one line per file, `<sha256>  <path>`, sorted by path (with
    `/` and relative to the folder): what `find * -type f | LC_ALL=C sort | xargs sha256sum` prints.
    """
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    names = sorted(file.relative_to(path).as_posix() for file in _files(path))
    lines = (f"{sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def total_bytes(path: Path) -> int:
    """Return the size of a file, or of all files of a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in _files(path))


def _files(folder: Path) -> list[Path]:
    return [entry for entry in folder.rglob("*") if not entry.is_dir()]
