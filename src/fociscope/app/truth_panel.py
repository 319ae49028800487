"""Truth: each true layer beside what the map makes of it: cells found, missed, and false."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from nicegui import ui

from fociscope.app.pictures import Picture, Pictures
from fociscope.app.plots import OUTCOME_COLOURS, OUTCOME_SCALE, Shown, Theme, image
from fociscope.app.scores import OUTCOMES, LayerScore
from fociscope.app.session import Session
from fociscope.typing import Int64Array

__all__ = ["TruthCards"]

MEANINGS = {
    "found": "cells that are there and on the map",
    "missed": "cells that are there and not on the map",
    "false": "cells on the map that are not there",
}


class TruthCards:
    """The truth, where it is known, and how right the map is."""

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Begin."""
        self._session, self._theme = session, theme
        self._words = ui.label("").classes("text-sm py-1")
        with ui.row().classes("w-full gap-x-4 gap-y-1 pb-2").props('aria-label="Legend"') as legend:
            for outcome, meaning in MEANINGS.items():
                with ui.row().classes("items-center gap-1 no-wrap"):
                    swatch = ui.element("span").classes("inline-block w-3 h-3 rounded-sm shrink-0")
                    swatch.style(f"background: {OUTCOME_COLOURS[outcome]}")
                    ui.label(f"{outcome}: {meaning}").classes("text-xs opacity-80")
        self._legend = legend
        self._pictures = Pictures()

    def draw(self) -> None:
        """Draw the true layers, and layers of the map that none of them matches."""
        scores = self._session.scores
        self._legend.set_visibility(scores is not None)
        if scores is None:
            self._words.set_text("The truth behind this capture is not known.")
            self._pictures.show([])
            return
        self._words.set_text(f"Map against truth: {scores.in_words}.")
        pictures = [self._of_layer(layer) for layer in scores.layers]
        for depth_um, mask in scores.false_masks:
            remark = f"no true layer is near; {100 * mask.mean():.1f} % of the frame false"
            outcome = np.where(mask, OUTCOMES.index("false"), 0)
            pictures.append((f"False layer at {depth_um:.0f} µm", remark, self._image(outcome)))
        self._pictures.show(pictures)

    def _of_layer(self, layer: LayerScore) -> Picture:
        found = "missed" if layer.found_um is None else f"found at {layer.found_um:.0f} µm"
        shares = ", ".join(f"{name} {100 * layer.share(name):.1f} %" for name in OUTCOME_COLOURS)
        remark = (
            f"{100 * layer.accuracy:.1f} % of pixels right (constant baseline "
            f"{100 * layer.constant_accuracy:.1f} %), Dice {layer.dice:.2f}; {shares} of the frame"
        )
        title = f"True layer at {layer.true_um:.0f} µm: {found}"
        return title, remark, self._image(layer.outcome)

    def _image(self, outcome: Int64Array) -> dict[str, object]:
        """Return the picture of (y, x) indices of `OUTCOMES`; pixels without cells stay empty."""
        result = self._session.result
        assert result is not None
        shown = Shown(OUTCOME_SCALE, 0.5, 3.5, "", bar=False, names=OUTCOMES)
        values = np.where(outcome > 0, outcome, np.nan)
        return image(values, result.imager.square_pitch_um, shown, self._theme())
