"""The napari plugin: captures, data sets and layered maps where they lie, in um.

`napari.yaml` tells napari what there is: `reader`, `sample_data`, `widget` and `writer`. All put
arrays into space through `placement`; nothing but `widget` imports napari or Qt, and it finds
whichever Qt binding is installed.
"""
