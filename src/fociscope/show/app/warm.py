"""What takes long the first time is done before the page opens: imports, models, one whole job."""

from __future__ import annotations

from fociscope.networks.store import find_model, read_model
from fociscope.reconstruction.foci import find_foci
from fociscope.show.app.captured import shipped_example
from fociscope.show.app.methods import default_model, model_for

__all__ = ["warm"]


def warm(device: str) -> None:
    """Reconstruct the shipped example once, and sensor A of it alone."""
    example = shipped_example().frames[0]
    for sensors in (1, 2):
        name = default_model(sensors)
        read_model(find_model(name))
        result = model_for(name, None, device).reconstruct(example[:sensors])
    find_foci(result)
