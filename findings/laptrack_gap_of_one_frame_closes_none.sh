#!/usr/bin/env bash
# laptrack 0.17.1 closes no gap at all with gap_closing_max_frame_count=1.
# The parameter, "the maximum frame gaps", is the difference of the frames before and after a gap, and not the
# number of frames that an object misses: 1 joins nothing that frame-to-frame linking has not joined,
# a spot that is missing in one frame needs 2, the default, and so on. Nothing warns.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check laptrack==0.17.1
cd "$folder"
venv/bin/python - <<'EOF'
from importlib.metadata import version

import numpy as np
from laptrack import LapTrack

print("laptrack", version("laptrack"))
here, nowhere = np.array([[10.0, 20.0]]), np.empty((0, 2))
found = {}
for missing in (1, 2):
    spots = [here, *[nowhere] * missing, here]
    for most in (1, 2, 3):
        tracker = LapTrack(gap_closing_cutoff=9, gap_closing_max_frame_count=most)
        found[missing, most] = bool(tracker.predict(spots).edges)
        print(f"{missing} frame(s) without the spot, gap_closing_max_frame_count={most}:",
              "one track" if found[missing, most] else "two tracks")
assert found == {(1, 1): False, (1, 2): True, (1, 3): True,
                 (2, 1): False, (2, 2): False, (2, 3): True}
EOF
