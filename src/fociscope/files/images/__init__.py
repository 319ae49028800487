"""Images and stacks of planes: TIFF, OME-TIFF, PNG and NPY."""
