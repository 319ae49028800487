#!/usr/bin/env bash
# torch 2.13.0: a module that asks len(tensor) is exported with the batch that it was traced with.
# With Dim.AUTO, which is to find out what is free, export says nothing, and the program refuses any other batch;
# tensor.shape[0] in place of len(tensor) leaves it free.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'EOF'
import torch


class ByLen(torch.nn.Module):
    def forward(self, x):
        return x + torch.ones(1, 4).expand(len(x), -1)


class ByShape(torch.nn.Module):
    def forward(self, x):
        return x + torch.ones(1, 4).expand(x.shape[0], -1)


print("torch", torch.__version__)
free = {}
for module in (ByLen(), ByShape()):
    dims = {"x": {0: torch.export.Dim.AUTO}}
    program = torch.export.export(module, (torch.zeros(3, 4),), dynamic_shapes=dims).module()
    try:
        free[type(module).__name__] = program(torch.zeros(5, 4)).shape == (5, 4)
    except Exception:
        free[type(module).__name__] = False
print("batch is free:", free)
assert free == {"ByLen": False, "ByShape": True}
EOF
