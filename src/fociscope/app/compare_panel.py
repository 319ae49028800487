"""Compare: one sensor against two, networks against classical solvers, on the same capture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from nicegui import ui

from fociscope.app.capture_input import CaptureInput
from fociscope.app.controls import plot, say
from fociscope.app.methods import Answer, Method, answer, methods_for
from fociscope.app.plots import DEPTH_SCALE, Shown, Theme, image
from fociscope.app.scores import score
from fociscope.app.session import Session
from fociscope.app.side import side_view
from fociscope.errors import FociscopeError
from fociscope.figures.reconstruction import Truth

__all__ = ["ComparePanel"]

#: Layers that solvers, and networks where they can, are told to look for.
USUAL_LAYERS = 4
COLUMNS = (
    ("method", "Method", "left"),
    ("layers", "Layers", "right"),
    ("depths", "Depths (µm)", "left"),
    ("residual", "Self-check residual", "right"),
    ("right", "Pixels right", "right"),
    ("constant", "Constant baseline", "right"),
    ("error", "Depth error", "right"),
    ("missed", "Missed / false", "right"),
    ("time", "Time", "right"),
)


class ComparePanel:
    """Several methods, side by side."""

    def __init__(self, session: Session, theme: Callable[[], Theme]) -> None:
        """Build it, without answers."""
        self._session, self._theme = session, theme
        self._answers: list[Answer] = []
        self._chosen: dict[str, bool] = {}
        self._running = False
        with ui.column().classes("w-full gap-2 pt-2"):
            ui.label(
                "The same capture through several methods: networks and classical solvers, given "
                "sensor A alone or both. Solvers restore light on a grid of 20 depths; what light "
                "means cells they learn on simulated scenes, the first time, which takes seconds."
            ).classes("text-xs opacity-70 max-w-3xl")
            self._choices = ui.row().classes("w-full gap-x-4 gap-y-0")
            with ui.row().classes("w-full items-center gap-3"):
                self._go = ui.button("Compare", icon="compare", on_click=self._compare)
                self._go.props("no-caps unelevated dense").classes("px-3")
                self._progress = ui.linear_progress(0, show_value=False, size="6px")
                self._progress.classes("w-48").props('aria-label="Progress"')
                self._doing = ui.label("").classes("text-xs opacity-70").props('aria-live="polite"')
            self._progress.set_visibility(False)
            self._table = ui.table(
                columns=[
                    {"name": n, "label": label, "field": n, "align": align}
                    for n, label, align in COLUMNS
                ],
                rows=[],
                row_key="method",
            )
            self._table.props('dense flat bordered hide-pagination aria-label="Methods"')
            self._table.classes("w-full").set_visibility(False)
            self._cards = ui.element("div").classes(
                "w-full grid grid-cols-1 sm:grid-cols-2 2xl:grid-cols-3 gap-3"
            )

    def forget(self) -> None:
        """Let go of answers to another capture, and offer what this one allows."""
        self._answers = []
        capture_input = self._session.capture_input
        if capture_input is None:
            return
        methods = methods_for(capture_input.sensors, self._session.own_models)
        for method in methods:
            self._chosen.setdefault(method.key, method.recommended)
        self._choices.clear()
        with self._choices:
            for method in methods:
                box = ui.checkbox(
                    method.label,
                    value=self._chosen[method.key],
                    on_change=partial(self._choose, method.key),
                )
                box.props("dense size=xs").classes("text-xs")
        self._doing.set_text("")
        self.draw()

    def _choose(self, key: str, event: object) -> None:
        self._chosen[key] = bool(getattr(event, "value", False))

    async def _compare(self) -> None:
        capture_input = self._session.capture_input
        if capture_input is None or self._running:
            return
        number = self._session.number
        possible = methods_for(capture_input.sensors, self._session.own_models)
        methods = [method for method in possible if self._chosen.get(method.key)]
        truth = self._session.truth
        layers = self._session.options.layers or (
            USUAL_LAYERS if truth is None else len(truth.depth_um)
        )
        self._answers, self._running = [], True
        self._go.disable()
        self._progress.set_visibility(True)
        try:
            for done, method in enumerate(methods):
                self._progress.set_value(done / len(methods))
                self._doing.set_text(f"{method.label} ...")
                found = await self._ask(capture_input, method, layers)
                if self._session.number != number:  # another capture came meanwhile
                    return
                if found is not None:
                    self._answers.append(found)
                    self.draw()
            self._doing.set_text(f"{len(self._answers)} methods, told of {layers} layer(s)")
        finally:
            self._running = False
            self._go.enable()
            self._progress.set_visibility(False)

    async def _ask(self, capture_input: CaptureInput, method: Method, layers: int) -> Answer | None:
        result = self._session.result
        assert result is not None
        try:
            return await self._session.jobs.long(
                answer,
                method,
                result.captures,
                imager=result.imager,
                layers=layers,
                in_simulated_light=capture_input.kind == "simulated",
                device=self._session.options.device,
            )
        except FociscopeError as error:
            say(f"{method.label}: {error}", wrong=True)
            return None

    def draw(self) -> None:
        """Draw the answers."""
        self._cards.clear()
        capture_input, result = self._session.capture_input, self._session.result
        self._table.set_visibility(bool(self._answers))
        if capture_input is None or result is None or not self._answers:
            return
        truth = self._session.truth
        self._table.rows = [_row(found, truth) for found in self._answers]
        self._table.update()
        pitch, gap = result.imager.square_pitch_um, result.imager.gap_um
        with self._cards:
            for found in self._answers:
                self._card(found, truth, pitch, gap)

    def _card(self, found: Answer, truth: Truth | None, pitch: float, gap: float) -> None:
        estimate = found.estimate
        assert estimate.depth_um is not None
        depth = np.where(estimate.mask, estimate.depth_um[:, None, None], np.nan)
        label = found.method.label
        depths = Shown(DEPTH_SCALE, 0.0, gap, "depth (µm)", digits=".0f")
        with ui.card().props("flat bordered").classes("w-full gap-0 p-2 min-w-0"):
            with ui.row().classes("w-full justify-between items-baseline"):
                ui.label(label).classes("text-sm font-medium").props('role="heading" aria-level=3')
                ui.label(_time(found.seconds)).classes("text-xs opacity-70")
            nearest = np.fmin.reduce(depth, axis=0)
            plot(image(nearest, pitch, depths, self._theme()), f"{label}: from above", "225px")
            side = side_view(
                estimate.mask,
                estimate.depth_um,
                estimate.depth_std_um,
                pixel_pitch_um=pitch,
                gap_um=gap,
                theme=self._theme(),
                true_um=None if truth is None else truth.depth_um,
            )
            plot(side, f"{label}: from the side", "150px")
            dotted = "" if truth is None else "; dotted: the true depths"
            ui.label(f"cells nearest to A, and from the side{dotted}").classes("text-xs opacity-60")
            if found.quality_flags:
                ui.label(f"Do not trust it: {found.quality_flags}").classes(
                    "text-xs text-amber-700"
                )


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _row(found: Answer, truth: Truth | None) -> dict[str, str]:
    depth_um = found.estimate.depth_um
    assert depth_um is not None
    there = depth_um[np.isfinite(depth_um)]
    residual = zip("AB", found.residual, strict=False)
    row = {
        "method": found.method.label,
        "layers": str(len(there)),
        "depths": ", ".join(f"{depth:.0f}" for depth in there),
        "residual": ", ".join(f"{s} {100 * r:.1f} %" for s, r in residual),
        "time": _time(found.seconds),
    }
    if truth is None:
        return row | dict.fromkeys(("right", "constant", "error", "missed"), "-")
    right = score(found.estimate, truth)
    error = right.depth_error_um
    return row | {
        "right": f"{100 * right.accuracy:.1f} %",
        "constant": f"{100 * right.constant_accuracy:.1f} %",
        "error": "-" if error is None else f"{error:.0f} µm",
        "missed": f"{right.missed} / {right.false_layers}",
    }
