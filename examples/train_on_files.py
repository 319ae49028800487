"""A model trained on files of the published layout: tiny here, to show each step.

Real files come from `fociscope simulate images-depth`, and a real recipe takes hours: see
docs/training.md.
"""

from pathlib import Path

import fociscope
from fociscope.simulation import DatasetPlan, write_dataset

write_dataset(Path("data"), DatasetPlan(files=1, samples=16, seed=5), workers=1)
Path("recipe.toml").write_text(
    """
name = "tiny"

[network]
widths = [8, 16]
blocks = [1, 1]
context = 16

[stream]
pool_chunks = 2
chunk_scenes = 4
steps_per_chunk = 2

[optimisation]
steps = 4
batch_scenes = 4
warmup_steps = 1
threads = 1

[validation]
scenes = 4
every_steps = 2

[calibration]
scenes = 20
family_scenes = 64
psf_width_scenes = 64
"""
)

done = fociscope.train("recipe.toml", "run", data="data", device="cpu")

assert done is not None
print(done.card_text)
print("use it: fociscope.load_model", done.model)
