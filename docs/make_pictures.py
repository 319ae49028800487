"""Make the pictures of the README and the documentation from the shipped example and model.

python docs/make_pictures.py
"""

import shutil
import tempfile
from pathlib import Path

from fociscope.workflows.demo import run_demo

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Run the demo and keep its two pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder) / "demo")
        shutil.copyfile(Path(folder) / "demo" / "comparison.png", IMAGES / "demo.png")
        shutil.copyfile(Path(folder) / "demo" / "figure.png", IMAGES / "map.png")


if __name__ == "__main__":
    main()
