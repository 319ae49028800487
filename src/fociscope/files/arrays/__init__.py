"""Files of named arrays: HDF5, MAT v5 and v7.3, NPZ, Zarr."""
