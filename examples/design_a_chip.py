"""Design a chip: which pitch and acceptance are accurate, before anything is built.

    python examples/design_a_chip.py [FOLDER]

Takes 9 s on one core: the base and six designs, by bounds and by the network on a few scenes. A
real study has hundreds of designs; `fociscope design` writes it with a report.
"""

import sys
import tempfile
from pathlib import Path

from fociscope.design import DesignSpace, sweep
from fociscope.figures import draw_design_study

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="fociscope-"))
folder.mkdir(parents=True, exist_ok=True)

space = DesignSpace(half_angle_deg=(13, 23), pixel_pitch_um=(45, 70), designs=6, scenes=8)
study = sweep(space)

for scores in study.scores:
    numbers = scores.design.numbers()
    error, bound = (scores.quality(name) for name in ("depth_error_um", "depth_bound_um"))
    print(
        f"pitch {numbers['pixel_pitch_um']:.0f} um, half angle {numbers['half_angle_deg']:.0f} "
        f"degrees: depth error {error:.0f} um, bound {bound:.1f} um"
    )
best = study.best("depth_error_um").design.numbers()
print(
    f"least depth error: pitch {best['pixel_pitch_um']:.0f} um, "
    f"half angle {best['half_angle_deg']:.0f} degrees"
)

draw_design_study(study).savefig(folder / "study.png")
