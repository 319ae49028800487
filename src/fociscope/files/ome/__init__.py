"""OME-TIFF, OME-XML and OME-Zarr."""
