"""Make the picture of the app: the page as it opens, in headless Chromium.

pip install '.[app]' playwright; Debian's chromium
python docs/make_app_pictures.py
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from app_page import open_app  # noqa: E402

#: Until all pictures are drawn, in software.
DRAWN_MS = 8000


def main() -> None:
    """Start the app, look at it, end it."""
    with open_app(color_scheme="light") as page:
        page.wait_for_timeout(DRAWN_MS)
        page.screenshot(path=ROOT / "docs" / "images" / "app.png")


if __name__ == "__main__":
    main()
