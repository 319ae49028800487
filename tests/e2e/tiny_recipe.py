"""A recipe so small that a test trains by it in seconds."""

from __future__ import annotations


def tiny_recipe(
    *,
    frame_px: int | None = 32,
    widths: tuple[int, int] = (4, 8),
    context: int = 8,
    steps: int = 4,
    warmup_steps: int = 1,
    pool_chunks: int = 1,
    steps_per_chunk: int | None = None,
    every_steps: int = 2,
    scenes: int = 2,
) -> str:
    """Return the recipe as TOML; numbers that a test does not name are the smallest that work.

    Args:
        frame_px: Side of the frames; None for the reference imager's.
        widths: Channels of the network's two levels.
        context: Features of its context.
        steps: Optimisation steps.
        warmup_steps: Steps until the full learning rate.
        pool_chunks: Chunks of scenes that are kept.
        steps_per_chunk: Steps after which a new chunk is drawn; None for the recipe's own number.
        every_steps: Steps between validations.
        scenes: Scenes of each validation.
    """
    # Kernels on large pixels are small, and soon computed.
    small = f"[imager]\nframe_px = [{frame_px}, {frame_px}]\npixel_pitch_um = 110.0\n"
    imager = "" if frame_px is None else small
    chunks = "" if steps_per_chunk is None else f"steps_per_chunk = {steps_per_chunk}\n"
    return f"""
name = "tiny"
{imager}[network]
widths = [{widths[0]}, {widths[1]}]
blocks = [1, 1]
context = {context}
[optimisation]
steps = {steps}
batch_scenes = 4
warmup_steps = {warmup_steps}
threads = 1
[stream]
pool_chunks = {pool_chunks}
chunk_scenes = 4
{chunks}[calibration]
scenes = 20
family_scenes = 64
psf_width_scenes = 64

[validation]
every_steps = {every_steps}
scenes = {scenes}
"""
