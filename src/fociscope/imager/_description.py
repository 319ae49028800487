"""Where an imager's file is written: alone, or with the files of its PSF as one whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fociscope.files.safe.atomic import atomic_folder, atomic_path
from fociscope.files.safe.disk import refuse_existing
from fociscope.imager.psf import Psf

__all__ = ["described"]


@contextmanager
def described(psf: Psf, path: Path, *, overwrite: bool) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Write a PSF's files, and yield where the imager's file goes and what it says of the PSF.

    All of them appear together, or none; a kill does not leave an imager with other kernels.

    Args:
        psf: PSF of the imager.
        path: Path of the imager's file.
        overwrite: Whether files may be replaced.

    Raises:
        OutputExistsError: If one of the files exists and `overwrite` is not set.
    """
    if not psf.has_files:
        with atomic_path(path, overwrite=overwrite) as part:
            yield part, psf.file_fields(path)
        return
    path = path.absolute()
    refuse_existing(path, overwrite)
    with atomic_folder(path.parent, overwrite=True, again=True) as folder:
        psf.write_files(folder / path.name)
        for file in folder.iterdir():
            refuse_existing(path.parent / file.name, overwrite)
        yield folder / path.name, psf.file_fields(folder / path.name)
