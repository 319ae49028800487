"""Draw the design studies of docs/design.md: the reference chip and the sibling chip.

    python docs/make_design_pictures.py [FOLDER]

Each study takes a minute on an idle core. With a folder, tables and summaries stay there.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fociscope import workflows
from fociscope.design import DesignSpace, DesignStudy
from fociscope.figures import draw_design_study
from fociscope.report.design import write_design_report

IMAGES = Path(__file__).parent / "images"
VARIED = {
    "pixel_pitch_um": (45, 80),
    "half_angle_deg": (12, 28),
    "exposure_s": (0.002, 0.1),
    "designs": 16,
    "scenes": 24,
}
STUDIES = {
    "reference": DesignSpace(base="reference", sensors=(1, 2), **VARIED),
    "sibling-36x80": DesignSpace(base="sibling-36x80", sensors=(1, 2), **VARIED),
}


def report(folder: Path, study: DesignStudy) -> None:
    """Write the report of a study beside its tables."""
    write_design_report(folder / "report.html", study)


def main(folder: Path) -> None:
    """Run both studies and draw them."""
    for name, space in STUDIES.items():
        study = workflows.design(space, folder / name, finish=report)
        draw_design_study(study).savefig(IMAGES / f"design-{name}.png", dpi=110)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
