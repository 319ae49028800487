"""`fociscope info`: what a thing is, what it claims, and whether it is sound."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fociscope.cli.common import (
    OverwriteOption,
    out,
    pitch_in_words,
    progress_bar,
    read_imager,
    show,
)
from fociscope.cli.entry import app
from fociscope.cli.names import IMAGERS

if TYPE_CHECKING:
    from fociscope.imager import Imager
    from fociscope.simulation.dataset_check import SetState

SHEET_SAMPLES = 6


@app.command()
def info(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE|MODEL",
            help="A data set, captures of any kind, a result, a file of the published layout, an "
            "imager or a recipe (TOML), a training run, or a model.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG file for a contact sheet of a data set or file."),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, max=50, help="Of the contact sheet.")] = (
        SHEET_SAMPLES
    ),
    imager: Annotated[
        Path | None,
        typer.Option(
            help="Imager of files without dataset.json, for the scales and raw counts' layout."
        ),
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Say what something is, what it claims, and whether it is sound; verify checksums."""
    from fociscope.errors import FociscopeError
    from fociscope.files.safe.atomic import check_target

    if output is not None:
        check_target(output, overwrite)
    given_imager = read_imager(imager)
    sheet, problem, its_imager = _describe(path, given_imager)
    if output is not None:
        if not sheet:
            raise FociscopeError(f"{path}: no samples here to draw; leave out -o.")
        _draw_sheet(path, sheet, output, samples, given_imager or its_imager, overwrite)
    if problem is not None:
        raise FociscopeError(problem)


def _describe(path: Path, imager: Imager | None) -> tuple[list[Path], str | None, Imager | None]:
    """Print what something is.

    Returns:
        Files of samples that can be drawn, what is wrong with a set (None for nothing), and the
        imager of a set.
    """
    from fociscope.files import is_store
    from fociscope.simulation.dataset_check import check_dataset
    from fociscope.simulation.dataset_record import has_record

    if path.is_dir() and has_record(path) and not is_store(path):
        with progress_bar("Verifying checksums") as progress:
            state = check_dataset(path, progress)
        _describe_set(path, state)
        whole = [path / name for name, how in state.states.items() if how == "whole"]
        return whole, _problem(path, state), state.record.plan.imager
    if path.is_dir() and not is_store(path):
        return *_describe_folder(path, imager), None
    return *_describe_file(path, imager), None


def _describe_folder(path: Path, imager: Imager | None) -> tuple[list[Path], str | None]:
    """Print what a folder is that is no data set; return samples to draw, and what is wrong."""
    from fociscope.cli.info_adaptation import ADAPTED, STARTED, describe_adaptation
    from fociscope.cli.info_captures import describe_captures
    from fociscope.cli.info_result import JOURNAL, SUMMARY, describe_result
    from fociscope.files import list_suffixes
    from fociscope.files.safe.backup import BACKUP
    from fociscope.files.safe.overwriting import OVERWRITING
    from fociscope.simulation.dataset_check import dataset_files
    from fociscope.simulation.dataset_record import RECORD_NAME
    from fociscope.training.recipe import RECIPE_FILE

    if any((path / place).is_dir() for place in (OVERWRITING, BACKUP)):
        show(
            "Interrupted",
            "an overwriting was killed; the next command that writes here puts it in order",
        )
    if (path / JOURNAL).exists() or (path / SUMMARY).exists():
        return [], describe_result(path)
    if (path / ADAPTED).exists() or ((path / STARTED).exists() and (path / "training").is_dir()):
        describe_adaptation(path)
        return [], None
    if (path / RECIPE_FILE).exists():
        from fociscope.cli.info_training import describe_run

        describe_run(path)
        return [], None
    suffixes = list_suffixes("image")
    if any(entry.suffix.lower() in suffixes for entry in path.iterdir()):
        describe_captures(path, imager)
        return [], None
    files = dataset_files(path)
    show("Folder of", f"{len(files)} file(s) without {RECORD_NAME}: no checksums to hold")
    for file in files:
        _describe_layout(file)
    _describe_displacement(files, imager)
    return files, None


def _describe_file(path: Path, imager: Imager | None) -> tuple[list[Path], str | None]:
    """Print what a file, a store or a name is; return samples to draw, and what is wrong."""
    from fociscope.cli.info_captures import describe_captures, is_published
    from fociscope.cli.info_result import SUMMARY, describe_result
    from fociscope.files import list_suffixes

    suffix = path.suffix.lower()
    if suffix == ".toml" and path.exists() and _is_recipe(path):
        from fociscope.cli.info_training import describe_recipe

        describe_recipe(str(path))
    elif suffix == ".toml" or str(path) in IMAGERS:
        _describe_imager(path)
    elif suffix == ".safetensors" or _is_plain_name(path):
        _describe_model(path)
    elif path.name == SUMMARY and path.is_file():
        return [], describe_result(path.parent)
    elif path.exists() and suffix not in list_suffixes("image") and is_published(path):
        _describe_layout(path)
        _describe_displacement([path], imager)
        return [path], None
    else:
        describe_captures(path, imager)
    return [], None


def _is_recipe(path: Path) -> bool:
    """Whether a TOML file has a recipe's sections, and not an imager's."""
    from fociscope.configuration import load_toml
    from fociscope.errors import FociscopeError
    from fociscope.files.safe.limits import read_description

    try:
        said = load_toml(read_description(path))
    except (FociscopeError, ValueError, RecursionError):
        return False  # the reader of imagers says what is wrong with it
    return any(name in said for name in ("optimisation", "network", "family", "stages"))


def _is_plain_name(path: Path) -> bool:
    """Whether there is no such file, and no pattern or array in a file is meant."""
    return not path.exists() and not any(mark in str(path) for mark in ("*", "?", "[", ":/"))


def _describe_set(folder: Path, state: SetState) -> None:
    from rich.table import Table

    record, plan = state.record, state.record.plan
    noise = "none" if plan.peak_snr_db is None else f"{plan.peak_snr_db:g} dB peak SNR"
    versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    show("Data set", f"{folder} ({plan.kind}, {plan.format})")
    show("Scenes", f"{plan.files} x {plan.samples}, {plan.layers} layer(s), seed {plan.seed}")
    show("Imager", _in_short(plan.imager))
    show("Specimen", plan.specimen.kind)
    show("Noise", noise)
    show("Made with", versions)
    table = Table()
    for name in ("file", "samples", "first\nscene", "size\n(MB)", "cells on\n(%)", "depth\n(µm)",
                 "capture\npeak", "checksum"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("file", "checksum") else "right")
    for file in record.files:
        s, how = file.statistics, state.states[file.name]
        table.add_row(
            escape(file.name),
            str(file.samples),
            str(file.first_scene),
            f"{file.bytes / 1e6:.1f}",
            f"{100 * s.coverage_mean:.1f}",
            f"{s.depth_um_mean:.0f}",
            f"{s.capture_peak:.2f}",
            "holds" if how == "whole" else f"[bold red]{how}[/]",
        )
    out.print(table)
    if record.statistics is not None:
        s = record.statistics
        show(
            "Over all",
            f"cells on {100 * s.coverage_mean:.1f} % of a layer ({100 * s.coverage_min:.0f} … "
            f"{100 * s.coverage_max:.0f}), depth {s.depth_um_mean:.0f} µm ({s.depth_um_min:.0f} … "
            f"{s.depth_um_max:.0f}), captures {s.capture_mean:.3f} and at most "
            f"{s.capture_peak:.2f} (1 = mean light where cells are)",
        )


def _problem(folder: Path, state: SetState) -> str | None:
    """Return the one line that says what is wrong with a set; None if nothing is."""
    bad = [f"{name} is {how}" for name, how in state.states.items() if how != "whole"]
    if state.not_made:
        bad.append(f"{', '.join(state.not_made)} not made yet")
    advice = (
        "make the set whole with the same 'fociscope simulate' command and --resume" if bad else ""
    )
    if state.extra:
        bad.append(f"{', '.join(state.extra)} not of this set")
        advice += f"{'; ' if advice else ''}move what is not of it elsewhere"
    return f"{folder}: {'; '.join(bad)}; {advice}." if bad else None


def _in_short(imager: Imager) -> str:
    height, width = imager.frame_px
    sides = "sensors A and B" if imager.sensors == 2 else "sensor A alone"
    return (
        f"{imager.name}: {width} x {height} pixels of {pitch_in_words(imager)}, {sides}, "
        f"depths to {imager.gap_um:g} µm, {imager.psf.kind} PSF, boundary {imager.boundary}"
    )


def _describe_displacement(files: list[Path], imager: Imager | None) -> None:
    """Print how far the captures of files lie beside their layers, if they tell."""
    from fociscope.calibration import displacement_of_files
    from fociscope.imager import Imager

    displacement = displacement_of_files(files, imager or Imager.reference())
    if displacement is not None:
        by = f"by {displacement.samples} sample(s)"
        show("Displacement", f"of the layers, pixels, {by}: {displacement.in_words()}")


def _describe_layout(path: Path) -> None:
    """Read all samples, which checks them, in parts of a bounded size."""
    from fociscope.files import ImagesDepthFile

    with ImagesDepthFile.open(path) as file:
        show("File", f"{path}, published layout, {file.samples} sample(s)")
        for name in file.names:
            show("", f"{name}: {' x '.join(map(str, file.shape(name)))}")
        low, high, peak = float("inf"), 0.0, 0.0
        step = 256 if file.is_sliceable else file.samples
        for start in range(0, file.samples, step):
            data = file.read(start, start + step)
            peak = max(peak, float(data.captures.max()))
            if data.depth_um is not None:
                low, high = (
                    min(low, float(data.depth_um.min())),
                    max(high, float(data.depth_um.max())),
                )
    if high > 0:
        show("Depths", f"{low:.1f} … {high:.1f} µm from sensor A")
    show("Captures", f"at most {peak:.4g}")
    show("Sound", "shapes, numbers and depths fit together")


def _describe_imager(path: Path) -> None:
    from fociscope.configuration import load_toml
    from fociscope.files.safe.limits import read_description
    from fociscope.imager import Imager, MeasuredPsf

    imager = Imager.load(path)
    show("Imager", _in_short(imager))
    if imager.sensitive_um is not None:
        y, x = imager.sensitive_um
        show("Pixels", f"sensitive on {x:g} x {y:g} µm")
    if imager.dead_pixels:
        show("Dead pixels", str(len(imager.dead_pixels)))
    if imager.layout is not None:
        show("Raw layout", imager.layout if isinstance(imager.layout, str) else "by a table")
    angle = _angle_in_media(imager)
    if angle:
        show("Half angle", angle)
    response = _response_in_words(imager)
    if response:
        show("Response", response)
    if isinstance(imager.psf, MeasuredPsf) and imager.psf.file is not None:
        is_stated = "file_sha256" in load_toml(read_description(path))["psf"]
        state = "checksum holds" if is_stated else "no checksum is stated"
        show("Kernels", f"{imager.psf.file}, {state}")
    for part in ("psf", "camera"):
        values = getattr(imager, part).model_dump(mode="json")
        show(
            part.upper() if part == "psf" else "Camera",
            ", ".join(
                f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in values.items()
                if not isinstance(value, list | dict)
            ),
        )
    if imager.sensors == 2:
        place = imager.registration
        y_um, x_um = place.shift_um
        show(
            "Sensor B",
            f"shifted by y {y_um:.4g}, x {x_um:.4g} µm, turned by {place.rotation_deg:.4g}°, "
            f"scale {place.scale:.6g}, gain {imager.sensor_gains[1] / imager.sensor_gains[0]:.4g}",
        )


def _angle_in_media(imager: Imager) -> str:
    """Return the half angle in its own medium and in others; empty for a PSF that has none."""
    from fociscope.imager import AngleSelectivePsf

    psf = imager.psf
    if not isinstance(psf, AngleSelectivePsf):
        return ""
    own = psf.half_angle_medium
    if own == "adjacent":
        own = psf.cover_index if psf.cover_um else "tissue"
    texts = []
    for medium in dict.fromkeys((own, "air", "tissue")):
        place = f"a medium of n = {medium:g}" if isinstance(medium, float) else medium
        if medium == "tissue":
            place += f" (n = {psf.tissue_index:g})"
        angle_deg = psf.half_angle_in(medium)
        none = math.isnan(angle_deg)
        texts.append(f"{'total reflection' if none else f'{angle_deg:.1f} degrees'} in {place}")
    return f"{texts[0]}, as stated; {', '.join(texts[1:])}"


def _response_in_words(imager: Imager) -> str:
    """Return in which medium a response was measured, and which light meets it; empty for none."""
    from fociscope.imager import AngularResponsePsf

    psf = imager.psf
    if not isinstance(psf, AngularResponsePsf):
        return ""
    medium = psf.table_medium
    place = f"a medium of n = {medium:g}" if isinstance(medium, float) else medium
    most_deg = max(psf.table, key=lambda row: row[1])[0]
    return (
        f"measured in {place} at {len(psf.table)} angles, most counts at {most_deg:g} degrees; "
        f"light comes from a medium of n = {psf.tissue_index:g}"
    )


def _describe_model(name: Path) -> None:
    from fociscope.cli.info_volume import describe_volume_model
    from fociscope.networks.store import find_model, read_model
    from fociscope.networks.volume_store import is_volume_model

    if is_volume_model(name):
        describe_volume_model(name)
        return
    path = find_model(str(name))
    network, about = read_model(path)
    count = sum(p.numel() for p in network.parameters())
    a = about.architecture
    show("Model", f"{about.name}, {count:,} parameters, {path}")
    show(
        "Takes",
        f"{a.sensors} sensor image(s); looks for {about.layers} layer(s), at most {a.layers}",
    )
    show("Imager", _in_short(about.imager))
    show(
        "Trained for",
        f"half angles {_span(about.half_angle_deg)} degrees, base blur "
        f"{_span(about.base_blur_px)} pixels, peak SNR {_span(about.peak_snr_db)} dB",
    )
    show("Sound", "weights fit the architecture, all finite")
    for card in (path.with_suffix(".md"), path.with_name("card.md")):
        if card.is_file():
            from rich.markdown import Markdown

            out.print()
            out.print(
                Markdown(card.read_text(encoding="utf-8", errors="replace"), hyperlinks=False)
            )
            break


def _span(bounds: tuple[float, float]) -> str:
    return f"{bounds[0]:g} … {bounds[1]:g}"


def _draw_sheet(
    path: Path,
    files: list[Path],
    output: Path,
    samples: int,
    imager: Imager | None,
    overwrite: bool,
) -> None:
    """Draw samples that are spread over the files."""
    from fociscope.figures.contact_sheet import draw_contact_sheet
    from fociscope.files import atomic_path
    from fociscope.files.published.samples import spread_samples

    data, names = spread_samples(files, samples)
    figure = draw_contact_sheet(
        data,
        names,
        title=path.resolve().name,
        line="" if imager is None else _in_short(imager),
        pixel_pitch_um=None if imager is None else imager.square_pitch_um,
        deepest_um=None if imager is None else imager.gap_um,
    )
    with atomic_path(output, overwrite=overwrite) as part:
        figure.savefig(part, format="png")
    out.print(
        f"Contact sheet of {len(names)} sample(s): [bold]{escape(str(output))}[/]",
        highlight=False,
        soft_wrap=True,
    )
