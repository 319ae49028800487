#!/usr/bin/env bash
# pyvips 3.2.0 with libvips 8.18.7: a uint16 array saved as PNG has 8 bits, cut off at 255.
# PNG has 16 bits and TIFF by the same library keeps them, but `Image.new_from_array(uint16)` is of the
# interpretation "b-w", of which `pngsave` writes 8 bits: values above 255 become 255, without a warning.
# With `interpretation="grey16"` all 16 bits are kept.
set -euo pipefail

python=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyvips==3.2.0 pyvips-binary==8.18.7 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
from importlib.metadata import version

import numpy as np
import pyvips

libvips = ".".join(str(pyvips.version(part)) for part in range(3))
print("pyvips", version("pyvips"), "libvips", libvips)
counts = np.array([[100, 255, 256, 1000, 65535]], np.uint16)
image = pyvips.Image.new_from_array(counts)
print("written:", counts.tolist(), image.format, image.interpretation)


def read(name):
    back = pyvips.Image.new_from_file(name)
    print(f"{name}:", back.numpy().tolist(), back.format)
    return back.format, back.numpy().tolist()


image.pngsave("plain.png")
image.tiffsave("plain.tif")
image.copy(interpretation="grey16").pngsave("grey16.png")
assert read("plain.png") == ("uchar", [[100, 255, 255, 255, 255]])
assert read("plain.tif") == ("ushort", counts.tolist())
assert read("grey16.png") == ("ushort", counts.tolist())
EOF
