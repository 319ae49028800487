"""`export_graph`: a model for other programs, in one of several formats."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fociscope.errors import FociscopeError, printable
from fociscope.exchange.facts import GraphFacts
from fociscope.files.safe.atomic import atomic_path, check_target
from fociscope.imager.geometry import Imager
from fociscope.reconstruction import Model, load_model
from fociscope.registry import unknown_name

__all__ = ["FORMATS", "GraphFormat", "export_graph"]

GraphFormat = Literal["onnx", "torch", "bioimageio"]
#: Format -> ending of its files.
FORMATS = {"onnx": ".onnx", "torch": ".pt2", "bioimageio": ".zip"}


def export_graph(
    model: Model | Path | str,
    path: Path | str,
    *,
    to: GraphFormat = "onnx",
    imager: Imager | Path | str | None = None,
    layers: int | None = None,
    overwrite: bool = False,
) -> GraphFacts:
    """Write a model as one graph that other programs run without Fociscope.

    The graph takes captures, (batch, sensor, y, x), float32, in any unit of light, and returns
    probability, intensity, depths with their standard deviations, and presence, as
    `Model.reconstruct` gives them in float32: imager, alignment of sensor B and calibration are
    part of it. Batch and frame are free, from 1 capture and 32 x 32 pixels on. What it leaves out
    stands in the file; `docs/export.md` lists it.

    Args:
        model: Name of a shipped model, path of a `.safetensors` file, or a loaded model.
        path: Path of the file to write; it ends as `FORMATS` says.
        to: `onnx`; `torch`, a program that `torch.export.load` reads; or `bioimageio`, a package
            of the BioImage Model Zoo with the ONNX graph in it.
        imager: Instrument of the captures, the path of its file, or the name of a preset; that of
            the model by default.
        layers: Greatest number of layers to look for; the model's own number by default.
        overwrite: Whether an existing file may be replaced.

    Returns:
        What the graph takes, returns and leaves out.

    Raises:
        FociscopeError: If the format is unknown, the path ends otherwise, the number of layers is
            out of range, an imager is named beside a loaded model, or onnx is not installed.
        ModelError: If there is no such model.
        ImagerError: If the imager does not go with the model.
        OutputExistsError: If the file exists and `overwrite` is false.

    Examples:
        >>> import fociscope
        >>> facts = fociscope.export_graph("single-a", "single-a.onnx")
        >>> facts.layers, facts.imager.name
        (1, 'reference')
    """
    path = _checked_path(Path(path), to, overwrite=overwrite)
    loaded = _loaded(model, imager)
    facts = GraphFacts.from_model(loaded, layers=loaded._checked_layers(layers))
    net, calibration = loaded._folded_for(facts.layers, "float32")
    with atomic_path(path, overwrite=overwrite) as part:
        if to == "torch":
            from fociscope.exchange.torch_program import save_torch_program

            save_torch_program(net, calibration, facts, part)
            return facts
        from fociscope.exchange.onnx_model import onnx_model

        content = onnx_model(net, calibration, facts).SerializeToString(deterministic=True)
        if to == "bioimageio":
            from fociscope.exchange.bioimageio import package_bytes

            content = package_bytes(content, net, calibration, facts)
        part.write_bytes(content)
    return facts


def _checked_path(path: Path, to: str, *, overwrite: bool) -> Path:
    """Refuse an unknown format, another ending, and a file that exists, before any work."""
    if to not in FORMATS:
        raise unknown_name("format", to, tuple(FORMATS), field="to")
    if path.suffix != FORMATS[to]:
        raise FociscopeError(
            f"{printable(path)}: a file of the format {to} ends in {FORMATS[to]}; name it so, or "
            "choose another format",
            fields=("output", "to"),
        )
    check_target(path, overwrite)
    return path


def _loaded(model: Model | Path | str, imager: Imager | Path | str | None) -> Model:
    if not isinstance(model, Model):
        return load_model(model, imager=imager, device="cpu", precision="float32")
    if imager is not None:
        raise FociscopeError(
            "a loaded model has its imager already; name the imager when loading it",
            fields=("imager",),
        )
    return model
