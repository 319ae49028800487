#!/usr/bin/env bash
# pylibtiff 0.7.0: of a stack that `TIFF.write_image` writes, only the first page can be read.
# BitsPerSample, SampleFormat and Compression are set once, before the loop over the pages of a
# 3D array; libtiff clears them after each page. Pages from the second on lack BitsPerSample, whose
# default is 1 bit, so that their pixels are taken for a bilevel image (and are uncompressed,
# whatever was asked for). Needs a C compiler and the shared library libtiff.
set -euo pipefail

python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pylibtiff==0.7.0 numpy==2.4.6 tifffile==2026.3.3
cd "$folder"
venv/bin/python - <<'EOF'
from importlib.metadata import version

import numpy as np
import tifffile
from libtiff import TIFF

print("pylibtiff", version("pylibtiff"))
frames = np.arange(3 * 40 * 48, dtype=np.uint16).reshape(3, 40, 48)
stack = TIFF.open("stack.tif", mode="w")
stack.write_image(frames, compression="lzw")
stack.close()
print("written: 3 pages of uint16, compressed by LZW")
with tifffile.TiffFile("stack.tif") as file:
    pages = [(page.bitspersample, page.compression.name) for page in file.pages]
print("pages have (bits, compression):", pages)
own = TIFF.open("stack.tif")
kinds = [own.GetField("BitsPerSample")]
while not own.LastDirectory():
    own.ReadDirectory()
    kinds.append(own.GetField("BitsPerSample"))
own.close()
print("pylibtiff itself reads BitsPerSample:", kinds)
assert pages == [(16, "LZW"), (1, "NONE"), (1, "NONE")]
assert kinds[0] == 16 and set(kinds[1:]) <= {None, 1}
EOF
