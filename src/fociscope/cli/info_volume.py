"""What `fociscope info` says of a model of volumes."""

from __future__ import annotations

from pathlib import Path

from fociscope.cli.common import out, show
from fociscope.networks.volume_store import find_volume_model, read_volume_model

__all__ = ["describe_volume_model"]


def describe_volume_model(name: Path) -> None:
    """Print what a model of volumes takes and was trained for, and its card."""
    path = find_volume_model(str(name))
    network, about = read_volume_model(path)
    count = sum(p.numel() for p in network.parameters())
    slices, sensors = about.architecture.slices, about.architecture.trunk.sensors
    thickness_um = about.imager.gap_um / slices
    show("Model", f"{about.name}, of volumes, {count:,} parameters, {path}")
    show("Takes", f"{sensors} sensor image(s)")
    show("Gives", f"{slices} slices of {thickness_um:g} µm for a gap of {about.imager.gap_um:g}")
    spans = [
        f"{low:g} … {high:g}"
        for low, high in (about.half_angle_deg, about.base_blur_px, about.peak_snr_db)
    ]
    show(
        "Trained for",
        f"half angles {spans[0]} degrees, base blur {spans[1]} pixels, peak SNR {spans[2]} dB",
    )
    show("Sound", "weights fit the architecture, all finite")
    for card in (path.with_suffix(".md"), path.with_name("card.md")):
        if card.is_file():
            from rich.markdown import Markdown

            out.print()
            text = card.read_text(encoding="utf-8", errors="replace")
            out.print(Markdown(text, hyperlinks=False))
            break
