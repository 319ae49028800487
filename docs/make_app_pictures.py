"""Make the picture of the app: the page as it opens, in headless Chromium.

pip install 'fociscope[app]' playwright; Debian's chromium
python docs/make_app_pictures.py
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
COMMAND = "from fociscope.cli import main; main()"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
#: Until all pictures are drawn, in software.
DRAWN_MS = 8000


def main() -> None:
    """Start the app, look at it, end it."""
    server = subprocess.Popen(
        [sys.executable, "-u", "-c", COMMAND, "app", "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = next(filter(None, (re.search(r"http://[\d.:]+", s) for s in server.stdout)))[0]
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=FLAGS
            )
            page = browser.new_page(viewport={"width": 1440, "height": 1080}, color_scheme="light")
            page.goto(address)
            page.wait_for_selector("[data-result]")
            page.wait_for_timeout(DRAWN_MS)
            page.screenshot(path=IMAGES / "app.png")
            browser.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
