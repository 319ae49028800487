"""Run the scripts of examples/, and keep what they print and draw for their pages.

    python docs/make_examples.py [NAME ...]

Of `examples/one_capture.py`, what it prints goes to `docs/examples/one-capture.txt`, and its
pictures to `docs/images/examples/one-capture-*.png`, in 256 colours at most.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
PICTURES = DOCS / "images" / "examples"
WIDEST_PX = 1000


def page_name(script: Path) -> str:
    """Return the name of a script's page, without a suffix."""
    return script.stem.replace("_", "-")


def keep_picture(drawn: Path, kept: Path) -> None:
    """Write a picture again, small."""
    with Image.open(drawn) as picture:
        opaque = picture.convert("RGB")
        opaque.thumbnail((WIDEST_PX, WIDEST_PX), Image.Resampling.LANCZOS)
        opaque.quantize(256, dither=Image.Dither.NONE).save(kept, optimize=True)


def run(script: Path) -> None:
    """Run one example, and keep its text and pictures."""
    name = page_name(script)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, script, "out"], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{script.name}:\n{done.stderr}")
        (DOCS / "examples" / f"{name}.txt").write_text(done.stdout, encoding="utf-8")
        for drawn in sorted((Path(folder) / "out").glob("*.png")):
            keep_picture(drawn, PICTURES / f"{name}-{drawn.name}")


def main() -> None:
    """Run the examples that are named, or all."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    scripts = sorted(EXAMPLES.glob("*.py"))
    named = sys.argv[1:] or [page_name(script) for script in scripts]
    for script in scripts:
        if page_name(script) in named or script.stem in named:
            print(script.name, flush=True)
            run(script)


if __name__ == "__main__":
    main()
