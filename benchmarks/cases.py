"""What is trained in the comparisons, by name."""

from dataclasses import replace

from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cut.settings import PRESETS as CUT_PRESETS
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.methods.dclgan.settings import PRESETS as DCLGAN_PRESETS
from tf_cyclegan.settings import RunSettings

_PAPER = replace(PRESETS["paper"], image_size=128)
CASES: dict[str, Config] = {
    # The paper's networks, objective and pool at 128x128, one image of each domain a step.
    "resnet9_128": _PAPER,
    # The tutorial, setting for setting, at its 256x256.
    "unet_256": PRESETS["tutorial"],
    # The size of the demo: so small that overhead decides.
    "demo_64": replace(
        _PAPER, image_size=64, generator="resnet6", filters=32, discriminator_filters=32
    ),
}
_SMALL = {"generator": "resnet6", "filters": 32, "discriminator_filters": 32}
# Of benchmarks.contrastive alone: the others know CycleGAN's step.
CONTRASTIVE: dict[str, RunSettings] = {
    # The authors' networks and objective at 128x128, one image of each domain a step.
    "fastcut_128": replace(CUT_PRESETS["fastcut"], image_size=128),
    "fastcut_64": replace(CUT_PRESETS["fastcut"], image_size=64, **_SMALL),
    "cut_64": replace(CUT_PRESETS["paper"], image_size=64, **_SMALL),
    "dclgan_64": replace(
        DCLGAN_PRESETS["paper"], image_size=64, adversarial_loss="lsgan", **_SMALL
    ),
}
# What a run without a GPU is told would be faster (training/forecast.py); run where named.
_PHOTOS = PRESETS["photos"]
PHOTOS = {
    "photos_256": replace(_PHOTOS, image_size=256),
    "photos_128": replace(_PHOTOS, image_size=128),
    "photos_128_unet": replace(_PHOTOS, image_size=128, generator="unet"),
    "photos_128_narrow": replace(_PHOTOS, image_size=128, filters=32),
}
# Of benchmarks.peers: what is trained, and its learning rate.
PEERS = {
    "cyclegan": ("demo_64", 2e-4),
    "cyclegan_fast": ("demo_64", 5e-4),
    "fastcut": ("fastcut_64", 2e-4),
    "fastcut_fast": ("fastcut_64", 5e-4),
}
# For the tests, which do not wait for XLA.
TINY = {
    "tiny_resnet": replace(
        _PAPER,
        image_size=32,
        generator="resnet1",
        filters=2,
        discriminator_filters=2,
        pool_size=4,
        jit="off",
    ),
    "tiny_unet": replace(
        PRESETS["tutorial"],
        image_size=32,
        unet_levels=3,
        filters=2,
        discriminator_filters=2,
        jit="off",
    ),
}


def case(name: str) -> RunSettings:
    """The settings of a case.

    Raises:
        UserError: There is none of that name.
    """
    try:
        return (CASES | CONTRASTIVE | PHOTOS | TINY)[name]
    except KeyError:
        raise UserError(f"there is no case {name}; there are {', '.join(CASES)}") from None
