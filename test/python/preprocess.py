"""Makes test/fixtures/preprocess/expected.json: what BLIP's image processors make of pictures. Run from anywhere:

    python test/python/preprocess.py        # needs torch, transformers 5, pillow; torchvision for the fast processor

`slow` is BlipImageProcessorPil (transformers 4's BlipImageProcessor), `fast` the one on torchvision. Bytes [3, size, size]
in base64, before rescaling and normalising. phone.png beside it is a frame of critiq's embedded phone. With folders of
PNGs as arguments it writes, for each PNG, the bytes at 224 to NAME.slow and NAME.fast in the working folder instead.
"""

import base64
import glob
import hashlib
import json
import os
import sys

import numpy as np
import torch

# torchvision's import asks for these; wheels whose native part does not fit the installed torch lack them, and resizing
# does not need them
try:
    import torchvision  # noqa: F401
except RuntimeError:
    sys.modules.pop("torchvision", None)
    stubs = torch.library.Library("torchvision", "DEF")
    for op in ("nms", "qnms"):
        stubs.define(op + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from PIL import Image
from transformers import BlipImageProcessor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "preprocess")


def picture(width, height):
    """RGBA by a formula that the test knows as well."""
    x, y = np.arange(width)[None, :, None], np.arange(height)[:, None, None]
    c = np.arange(4)[None, None, :]
    return ((x * 37 + y * 91 + c * 53 + x * y * 7 + (x * x + y * (c + 1)) % 17 * 11) % 256).astype(np.uint8)


def resized(image, size):
    options = dict(size={"height": size, "width": size}, do_rescale=False, do_normalize=False)
    slow = np.asarray(BlipImageProcessorPil(**options)(image, return_tensors="np")["pixel_values"][0])
    fast = BlipImageProcessor(**options)(image, return_tensors="pt")["pixel_values"][0].numpy()
    return slow.astype(np.uint8), fast.astype(np.uint8)


if len(sys.argv) > 1:
    for path in sorted(p for folder in sys.argv[1:] for p in glob.glob(os.path.join(folder, "*.png"))):
        name = os.path.splitext(os.path.basename(path))[0]
        for kind, pixels in zip(("slow", "fast"), resized(Image.open(path), 224)):
            pixels.tofile(f"{name}.{kind}")
    sys.exit()

cases = []
for width, height, size in [(37, 91, 16), (3, 2, 16), (1, 1, 4), (700, 20, 16), (61, 1300, 16), (16, 40, 16), (16, 16, 16)]:
    slow, fast = resized(Image.fromarray(picture(width, height), "RGBA"), size)
    case = {"width": width, "height": height, "size": size, "slow": base64.b64encode(slow.tobytes()).decode()}
    case["fast"] = base64.b64encode(fast.tobytes()).decode()
    cases.append(case)
slow, fast = resized(Image.open(os.path.join(HERE, "phone.png")), 224)
cases.append({"file": "phone.png", "size": 224, "slow_sha256": hashlib.sha256(slow.tobytes()).hexdigest()})

# normalising: what the whole processor makes of bytes 0, 51, ..., 255 in each channel
plain = np.arange(0, 256, 51, dtype=np.uint8)
flat = np.repeat(plain[None, :, None], 3, axis=2)
values = BlipImageProcessorPil(do_resize=False)(Image.fromarray(flat, "RGB"), return_tensors="np")["pixel_values"][0]
with open(os.path.join(HERE, "expected.json"), "w") as f:
    json.dump({"cases": cases, "normalised": {"bytes": plain.tolist(), "values": values[:, 0].tolist()}}, f, indent=1)
