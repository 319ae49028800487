"""The app: from the drop of a capture pair to its map on screen, in headless Chromium.

Needs `pip install '.[app]' playwright` and Debian's chromium:

    python benchmarks/app.py > benchmarks/app.md
"""

from __future__ import annotations

import argparse
import base64
import statistics
import time
from importlib import resources
from pathlib import Path

import torch
from app_page import open_app
from playwright.sync_api import Page

EXAMPLE = Path(str(resources.files("fociscope.demo")))

#: Drops a pair on the upload; resolves when the next map is there and two more frames are painted.
DROP_AND_WAIT = """async (files) => {
  const shown = () => Number(document.querySelector('[data-result]').dataset.result);
  const before = shown(), data = new DataTransfer();
  for (const [name, content] of files)
    data.items.add(new File([Uint8Array.from(atob(content), c => c.charCodeAt(0))], name));
  const send = (to, kind) => to.dispatchEvent(
    new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: data}));
  const frame = () => new Promise(requestAnimationFrame);
  const box = document.querySelector('.q-uploader');
  send(box, 'dragover');
  while (!box.querySelector('.q-uploader__dnd')) await frame();
  const start = performance.now();
  send(box.querySelector('.q-uploader__dnd'), 'drop');
  while (shown() <= before) await frame();
  const there = performance.now() - start;
  await frame(); await frame();
  return [there, performance.now() - start];
}"""


def main() -> None:
    """Start the app, drop the shipped pair again and again, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=21, help="the first is left out")
    drops = parser.parse_args().drops
    with open_app() as page:
        times = drop(page, drops)[1:]
    print("# The app\n")
    print(
        f"Made by `python benchmarks/app.py --drops {drops}`: the shipped pair, 51 x 51, is dropped"
    )
    print("on the page in headless Chromium, which draws in software, on the same machine;")
    print(f"{torch.get_num_threads()} threads.\n")
    print("| from the drop to | median (ms) | longest (ms) |\n|---|---|---|")
    for what, column in (("the map in the page", 0), ("two more frames painted", 1)):
        values = [row[column] for row in times]
        print(f"| {what} | {statistics.median(values):.0f} | {max(values):.0f} |")


def drop(page: Page, drops: int) -> list[list[float]]:
    """Return the milliseconds until each drop's map is in the page, and painted."""
    files = [
        [name, base64.b64encode((EXAMPLE / name).read_bytes()).decode()]
        for name in ("sensor_a.tif", "sensor_b.tif")
    ]
    times = []
    for _ in range(drops):
        time.sleep(3)  # until the page is at rest
        times.append(page.evaluate(DROP_AND_WAIT, files))
    return times


if __name__ == "__main__":
    main()
