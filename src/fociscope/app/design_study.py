"""Designs that a visitor tries: their scores, and the front among them, without the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fociscope.app.plots import CONFIG, Figure, Theme
from fociscope.design import DesignScores, DesignSpace, DesignStudy, ImagerDesign, score_design
from fociscope.figures.design import QUALITY_LABELS, SENSOR_STYLES
from fociscope.imager import Imager

__all__ = ["PAGE_SPACE", "RANGES", "TriedDesigns", "front_figure", "table_rows"]

#: Least, greatest and step of each slider, its unit, and its name on the page.
RANGES: dict[str, tuple[float, float, float, str, str]] = {
    "pixel_pitch_um": (40.0, 90.0, 1.0, "µm", "Pixel pitch"),
    "half_angle_deg": (9.0, 30.0, 0.5, "°", "Half angle"),
    "gap_um": (600.0, 1000.0, 50.0, "µm", "Gap"),
    "exposure_s": (0.002, 0.1, 0.002, "s", "Exposure"),
}
#: What the page scores by: a small frame and few scenes, so that an answer comes in a second.
PAGE_SPACE = DesignSpace(
    frame_px=(32, 32),
    pixel_pitch_um=(48, 80),
    half_angle_deg=(14, 27),
    exposure_s=(0.002, 0.1),
    sensors=(1, 2),
    scenes=24,
)


class TriedDesigns:
    """The designs of a visit, the base first, and their scores."""

    def __init__(self, space: DesignSpace = PAGE_SPACE) -> None:
        """Begin without any."""
        self.space = space
        self.base: Imager = space.base_imager()
        self.scores: dict[ImagerDesign, DesignScores] = {}

    def design(self, numbers: dict[str, float], sensors: int) -> ImagerDesign:
        """Return the design of sliders; what they do not hold is the base's."""
        own = ImagerDesign.of(self.base).numbers() | numbers
        return ImagerDesign(**{**own, "sensors": sensors})  # type: ignore[arg-type]

    def score(self, design: ImagerDesign) -> DesignScores:
        """Return the scores of a design, and keep them.

        Raises:
            FociscopeError: If it cannot be simulated.
        """
        if design not in self.scores:
            number = len(self.scores)
            self.scores[design] = score_design(design, self.space, base=self.base, number=number)
        return self.scores[design]

    @property
    def study(self) -> DesignStudy:
        """All that was tried, as a study."""
        return DesignStudy(self.space, self.base, tuple(self.scores.values()))


def table_rows(scores: DesignScores) -> list[tuple[str, str]]:
    """Return what a design gets, and what it costs, in words."""
    rows = [
        ("Photons of a cell", f"{scores.cell_photons:.3g}"),
        ("Photons in a pixel", _or_dash(scores.pixel_photons)),
        ("Peak SNR", _or_dash(scores.peak_snr_db, " dB")),
        ("Pixels, bundles of wires", f"{scores.pixels}, {scores.wires}"),
        ("Field of view", f"{scores.field_mm2:.3g} mm²"),
    ]
    if scores.network is not None:
        found = scores.network.cell_sensitivity
        rows += [
            ("Depth error", f"{scores.network.depth_error_um} µm"),
            ("Dice of the map", str(scores.network.dice)),
            ("Lone cells found", "no cells" if found is None else str(found)),
        ]
    if scores.layers is not None:
        rows.append(("Depth error of Gaussian layers", f"{scores.layers.depth_error_um:.3g} µm"))
    rows += [
        ("Information", _or_dash(scores.information_bits, " bits per pixel")),
        ("Lone cell's depth, at best", _or_dash(scores.emitter_depth_um, " µm")),
    ]
    return rows


def front_figure(
    study: DesignStudy, quality: str, theme: Theme, *, shown: ImagerDesign | None = None
) -> Figure:
    """Return all designs by photons of a cell; those that nothing beats are filled.

    Args:
        study: What was tried.
        quality: Of `QUALITIES`.
        theme: Theme of the page.
        shown: Design that is looked at, with a ring around it.
    """
    on_front = {scores.number for scores in study.fronts().get(quality, [])}
    drawn = [
        _points(
            [s for s in study.scores if s.wires == sensors and s.quality(quality) is not None],
            quality,
            on_front,
            shown,
            sensors,
        )
        for sensors in sorted(SENSOR_STYLES)
    ]
    axis = {"gridcolor": theme.line, "zeroline": False, "linecolor": theme.line}
    title = {"standoff": 4, "font": {"size": 11}}
    return {
        "data": drawn,
        "layout": theme.layout(
            xaxis={**axis, "type": "log", "title": {"text": "photons of a cell", **title}},
            yaxis={**axis, "title": {"text": QUALITY_LABELS[quality], **title}},
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            margin={"l": 50, "r": 8, "t": 24, "b": 40},
        ),
        "config": CONFIG,
    }


def _points(
    scores: Sequence[DesignScores],
    quality: str,
    on_front: set[int],
    shown: ImagerDesign | None,
    sensors: int,
) -> dict[str, Any]:
    """Return the designs of so many sensors as points."""
    colour, marker = SENSOR_STYLES[sensors]
    symbol = {"o": "circle", "s": "square"}[marker]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "two sensors" if sensors == 2 else "one sensor",
        "x": [s.cell_photons for s in scores],
        "y": [round(float(s.quality(quality) or 0.0), 4) for s in scores],
        "text": [
            f"{s.design.pixel_pitch_um:g} µm, {s.design.half_angle_deg:g}°, gap "
            f"{s.design.gap_um:g} µm, {s.design.exposure_s:g} s"
            for s in scores
        ],
        "marker": {
            "symbol": [symbol if s.number in on_front else f"{symbol}-open" for s in scores],
            "color": colour,
            "size": [13 if s.design == shown else 8 for s in scores],
        },
        "hovertemplate": "%{text}<br><b>%{y:.3~g}</b><extra></extra>",
    }


def _or_dash(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:.3g}{unit}"  # noqa: RUF001
