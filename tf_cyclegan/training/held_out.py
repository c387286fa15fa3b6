"""Whether discriminators know the training images by heart: what they make of images held out."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from ..data.pipeline import UnpairedImages
from ..errors import UserError
from ..methods.method import Trainable
from ..settings import RunSettings
from .checkpoints import tensorflow_disk_errors
from .devices import Devices
from .run import Run

IMAGES = 32  # of each kind and domain that are looked at, the same ones each time
EVERY = 5  # lines of metrics.jsonl for one look
SMOOTHED = 5  # looks that a judgement rests on
GAP = 0.25  # of the share called real: from here on an image is known, not only liked


class HeldOut:
    """Looks at what share of real images discriminators call real, of those trained on and of others.

    Where the first grows and the second falls they have learnt images and not what images have in
    common (Karras et al. 2020, https://arxiv.org/abs/2006.06676, section 3.1).

    Args:
        method: With `judges`.
        data: With images held out.
        config: The settings of the run.
        devices: What it trains on.

    Attributes:
        every: Steps from a look to the next.

    Raises:
        UserError: The method's discriminators judge no single images.
    """

    def __init__(
        self, method: Trainable, data: UnpairedImages, config: RunSettings, devices: Devices
    ):
        judges = getattr(method, "judges", {})
        if not judges:
            raise UserError(
                f"--held-out does not fit this run of {config.method}, which has no discriminator of "
                "single images; leave it out"
            )
        self.every = EVERY * config.log_every
        self._run = Run(config.run_folder)
        self._called_real = devices.function(method.called_real, jit=False)
        self._images = {
            name: data.centres(images, IMAGES)
            for domain in judges
            for name, images in (
                (f"train_{domain}", getattr(data, f"train_{domain}")),
                (f"held_out_{domain}", getattr(data, f"held_out_{domain}")),
            )
        }

    def look(self, step: int) -> None:
        """Write a line of the run's log, and tell TensorBoard."""
        shares = self._called_real(self._images)
        shares = {name: float(share) for name, share in shares.items()}
        self._run.called_real.add([{"step": step} | shares])
        with tensorflow_disk_errors(self._run.tensorboard):
            for name, share in shares.items():
                tf.summary.scalar(f"called_real/{name}", share, step)


def known_since(lines: Sequence[Mapping[str, float]]) -> int | None:
    """The step since which discriminators know their images by heart, to the end of the run.

    Since then they have called `GAP` more of the training images real than of others, on the average
    of the domains and of the last `SMOOTHED` looks; None if they do not at the end.
    """
    gaps = [
        np.mean([line[n] - line[n.replace("train", "held_out")] for n in line if "train" in n])
        for line in lines
    ]
    since = None
    for place in range(SMOOTHED - 1, len(lines)):
        if np.mean(gaps[place + 1 - SMOOTHED : place + 1]) < GAP:
            since = None
        elif since is None:
            since = int(lines[place]["step"])
    return since
