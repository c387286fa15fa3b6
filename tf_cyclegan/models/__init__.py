"""The networks, in Keras 3 alone: they run on any Keras backend."""

from .cogan import (
    discriminator_front,
    discriminator_trunk,
    generator_head,
    generator_trunk,
)
from .convolutions import (
    DoublingConv2D,
    HalvingConv2D,
    ReflectedConv2D,
    ResizingConv2D,
    ToImageConv2D,
)
from .layers import (
    BlurDoubling2D,
    BlurHalving2D,
    CropTopLeft2D,
    InstanceNormalization,
    NearestUpsampling2D,
    ReflectionPadding2D,
    SharedBatchNormalization,
)
from .patchgan import in_scales, patchgan_discriminator
from .pix2pix_unet import pix2pix_unet_generator
from .resnet import resnet_generator
from .unet import unet_generator

__all__ = [
    "BlurDoubling2D",
    "BlurHalving2D",
    "CropTopLeft2D",
    "DoublingConv2D",
    "HalvingConv2D",
    "InstanceNormalization",
    "NearestUpsampling2D",
    "ReflectedConv2D",
    "ReflectionPadding2D",
    "ResizingConv2D",
    "SharedBatchNormalization",
    "ToImageConv2D",
    "discriminator_front",
    "discriminator_trunk",
    "generator_head",
    "generator_trunk",
    "in_scales",
    "patchgan_discriminator",
    "pix2pix_unet_generator",
    "resnet_generator",
    "unet_generator",
]
