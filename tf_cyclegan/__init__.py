"""CycleGAN in TensorFlow: unpaired image-to-image translation.

    import tf_cyclegan as cg

    folder = cg.train(cg.Config(dataset="cycle_gan/horse2zebra"))
    translate = cg.load_translator(folder)

Nothing heavy is imported before it is used.
"""

import importlib
from typing import TYPE_CHECKING

from .errors import UserError

if TYPE_CHECKING:
    from .methods.cyclegan.settings import PRESETS, Config

__version__ = "0.2.0"
__all__ = [
    "PRESETS",
    "Config",
    "CycleGAN",
    "UserError",
    "assemble_dataset",
    "convert_checkpoint",
    "load_dataset",
    "load_translator",
    "train",
]

_LAZY = {
    "PRESETS": ".methods.cyclegan.settings",
    "Config": ".methods.cyclegan.settings",
    "CycleGAN": ".methods.cyclegan.step",
    "assemble_dataset": ".data.assemble",
    "convert_checkpoint": ".torch_weights.networks",
    "load_dataset": ".data.pipeline",
    "load_translator": ".translation.load",
}


def __getattr__(name: str):
    if name == "train":
        return importlib.import_module(".train", __name__)  # a module that can be called
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
