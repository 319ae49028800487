#!/usr/bin/env bash
# OpenVINO 2026.4.1 computes a float32 model in bfloat16 where the processor has instructions for it, without a word.
# Results have three digits then, in float32 arrays. INFERENCE_PRECISION_HINT=f32 brings the others back. The
# attribute of a model, its inputs and its outputs all say float32.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import numpy as np
import openvino
from openvino import opset13 as ops

print("OpenVINO", openvino.__version__)
core = openvino.Core()
has_bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
random = np.random.default_rng(0)
image = random.random((1, 16, 32, 32), np.float32)
weight = random.random((16, 16, 3, 3), np.float32) - np.float32(0.5)
x = ops.parameter([1, 16, 32, 32], np.float32)
y = ops.convolution(x, ops.constant(weight), [1, 1], [1, 1], [1, 1], [1, 1])
model = openvino.Model([y], [x])
found = {
    name: core.compile_model(model, "CPU", settings)(image)[0]
    for name, settings in {"as it comes": {}, "f32": {"INFERENCE_PRECISION_HINT": "f32"}}.items()
}
apart = float(np.abs(found["as it comes"] - found["f32"]).max() / np.abs(found["f32"]).max())
print("instructions for bfloat16:", has_bfloat16, "- difference, of the largest value:", apart)
assert all(array.dtype == np.float32 for array in found.values())
assert (1e-4 < apart < 1e-2) == has_bfloat16
EOF
