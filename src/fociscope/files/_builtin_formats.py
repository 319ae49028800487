"""The formats that Fociscope reads itself, in the order in which a file is tried against them."""

from __future__ import annotations

from functools import partial

from fociscope.files.arrays._hdf5 import Hdf5Source, is_hdf5
from fociscope.files.arrays._mat5 import Mat5Source, is_mat5
from fociscope.files.arrays._npz import NpzSource, is_npz
from fociscope.files.arrays._store_files import is_zipped_zarr
from fociscope.files.arrays._zarr_store import ZarrSource, is_zarr
from fociscope.files.captures._zarr import open_zarr
from fociscope.files.formats._table import FORMATS, Format
from fociscope.files.images._npy import is_npy, open_npy
from fociscope.files.images._png import is_png, open_png, read_png
from fociscope.files.images._tiff import is_tiff, open_tiff, read_tiff

__all__ = ["BUILTIN_FORMATS"]

BUILTIN_FORMATS = {
    "tiff": Format(
        "TIFF",
        (".tif", ".tiff", ".lsm", ".stk"),
        lambda _, head: is_tiff(head),
        open=open_tiff,
        read=read_tiff,
        open_growing=partial(open_tiff, growing=True),
    ),
    "png": Format("PNG", (".png",), lambda _, head: is_png(head), open=open_png, read=read_png),
    "npy": Format("NPY", (".npy",), lambda _, head: is_npy(head), open=open_npy),
    "mat": Format(
        "MAT v5",
        (".mat",),
        lambda path, _: is_mat5(path),
        open_arrays=lambda path, _: Mat5Source.open(path),
        holds_layout=True,
    ),
    "hdf5": Format(  # MAT v7.3, too: its content is HDF5
        "HDF5",
        (".h5", ".hdf5"),
        lambda path, _: is_hdf5(path),
        open_arrays=Hdf5Source.open,
        holds_layout=True,
    ),
    "zarr_zip": Format(
        "zipped Zarr",
        (".ozx", ".zip"),
        lambda path, _: is_zipped_zarr(path),
        open_arrays=NpzSource.open,  # by whose names alone nothing is opened
        open_named=open_zarr,
    ),
    "npz": Format("NPZ", (".npz",), lambda path, _: is_npz(path), open_arrays=NpzSource.open),
    "zarr": Format(
        "Zarr",
        (".zarr",),
        lambda path, _: is_zarr(path),
        open_arrays=ZarrSource.open,
        open_named=open_zarr,
        holds_layout=True,
        is_folder=True,
    ),
}

for _name, _format in BUILTIN_FORMATS.items():
    FORMATS.register(_name, _format)
