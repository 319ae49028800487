"""Let torchvision's Python part import beside a CPU build of torch, in the peers' environment only.

Its compiled part is linked against CUDA and does not load there; its Python part then stumbles over
two operators that the compiled part would have declared. They are declared here, without a body.
"""

import torch

LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # declared for as long as it lives
for operator in ("nms", "qnms"):
    LIBRARY.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
