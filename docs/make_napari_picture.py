"""Draw the picture of docs/napari.md: the plugin after it reconstructed the shipped pair.

    xvfb-run -s "-screen 0 1600x1000x24" python docs/make_napari_picture.py

It needs `pip install '.[napari]' PyQt6`, and a screen or Xvfb with a software OpenGL (Debian's
`xvfb` and `libgl1-mesa-dri`).
"""

import time
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication

OUTPUT = Path(__file__).parent / "images" / "napari.png"
PATIENCE_S = 120.0


def main() -> None:
    """Open the example, reconstruct it, take the window's picture."""
    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    viewer.open_sample("fociscope", "example")
    _, widget = viewer.window.add_plugin_dock_widget("fociscope", "Reconstruct captures")
    widget.run.native.click()
    end = time.monotonic() + PATIENCE_S
    while widget.cancel.enabled and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)
    for _ in range(100):  # lets the last frame reach the screen
        QApplication.processEvents()
        time.sleep(0.01)
    viewer.window.screenshot(str(OUTPUT))
    viewer.close()


if __name__ == "__main__":
    main()
