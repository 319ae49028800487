"""The published layout, `images_depth`."""
