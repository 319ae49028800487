"""The app in headless Chromium, for benchmarks and pictures.

Needs `pip install '.[app]' playwright` and Debian's chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

COMMAND = "from fociscope.cli import main; main()"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@contextmanager
def open_app(**page_options: Any) -> Iterator[Page]:
    """Start the app, yield its page with a first result on it, and end the app.

    Args:
        page_options: Options of Playwright's `Browser.new_page`, such as `color_scheme`.
    """
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
            page = browser.new_page(viewport={"width": 1440, "height": 1080}, **page_options)
            page.goto(address)
            page.wait_for_selector("[data-result]")
            yield page
            browser.close()
    finally:
        server.terminate()
        server.wait()
