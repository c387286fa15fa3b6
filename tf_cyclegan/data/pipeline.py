"""From two domains to a stream of batches that follows from seed and step alone."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count

import numpy as np
import tensorflow as tf

from ..errors import UserError
from ..progress import progress
from ..settings import MAX_PIXELS, RunSettings
from .decode import UnreadableImage, decode_image, decode_resized
from .sources import Domain, open_source

CACHE_BYTES = 2**30  # a domain whose scaled images fit in this is decoded once and kept
DOMAIN_X, DOMAIN_Y = 0, 1

fold_in = tf.random.fold_in


def normalise(images):
    """uint8 in [0, 255] to float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


def jitter(image, config: RunSettings, crop_seed, mirror_seed):
    """Cut `config.image_shape` from a random place, and mirror every other image left to right.

    Args:
        image: `[H, W, C]` of any type, at least as large as what is cut.
        config: For `image_shape` and `mirror`.
        crop_seed: int32 `[2]`, which place; the same one gives the same place in any image.
        mirror_seed: int32 `[2]`, whether mirrored.

    Returns:
        `[height, width, C]` of `config.image_shape`.
    """
    shape = (*config.image_shape, image.shape[-1])
    image = tf.image.stateless_random_crop(image, shape, crop_seed)
    if config.mirror:
        image = tf.image.stateless_random_flip_left_right(image, mirror_seed)
    return image


class ScaledImages:
    """The images of a domain, decoded and scaled to one size.

    Args:
        domain: Where the encoded images are.
        shape: Height and width to scale to.
        method: Interpolation, see `decode.RESAMPLING`.
        skip_unreadable: Leave out images that cannot be read.
        max_pixels: Of an image; what has more cannot be read.

    Raises:
        UserError: Images cannot be read (the first is named) and are not to be skipped.

    Attributes:
        names: Of the images that can be read.
        skipped: Names of those that cannot.
        lost: Name of one that could be read at first and then could not, and why; or None.
    """

    def __init__(
        self,
        domain: Domain,
        shape: tuple[int, int],
        method: str,
        skip_unreadable: bool = False,
        max_pixels: int = MAX_PIXELS,
    ):
        self._domain = domain
        self._max_pixels = max_pixels
        self._decode = partial(decode_resized, shape=shape, method=method, max_pixels=max_pixels)
        self._cache = None
        fits = len(domain) * shape[0] * shape[1] * 3 <= CACHE_BYTES
        if fits:
            self._cache = np.empty([len(domain), *shape, 3], np.uint8)
        problems = self._read_all()
        if problems and not skip_unreadable:
            name, reason = next(iter(problems.items()))
            count = f"{len(problems)} images" if len(problems) > 1 else "1 image"
            raise UserError(
                f"{count} cannot be read, the first is {name} ({reason}); "
                "mend or remove it, or pass --skip-unreadable"
            )
        self.skipped = list(problems)
        self.lost: str | None = None
        self._indices = [i for i, name in enumerate(domain.names) if name not in problems]
        self.names: Sequence[str] = [domain.names[i] for i in self._indices]
        self.shape = (*shape, 3)
        if not self.names:
            raise UserError(f"no image can be read, the first is {self.skipped[0]}")

    def _read_all(self) -> dict[str, str]:
        """Decode every image once, to keep it or only to know that it can be read."""

        def check(index: int) -> str | None:
            try:
                encoded = self._domain.read(index)
                if self._cache is None:
                    decode_image(encoded, self._max_pixels)
                else:
                    self._cache[index] = self._decode(encoded)
            except UnreadableImage as error:
                return str(error)
            return None

        names = self._domain.names
        with ThreadPoolExecutor(cpu_count()) as threads:
            results = progress(threads.map(check, range(len(names))), len(names), "reading images")
            return {name: reason for name, reason in zip(names, results, strict=True) if reason}

    def __len__(self):
        return len(self.names)

    def __getitem__(self, position: int) -> np.ndarray:
        """The image as uint8 `[H, W, 3]`."""
        index = self._indices[position]
        if self._cache is not None:
            return self._cache[index]
        try:
            return self._decode(self._domain.read(index))
        except UnreadableImage as error:
            self.lost = f"{self.names[position]} ({error})"
            raise


@dataclass(frozen=True)
class UnpairedImages:
    """Two domains to train on, and some images of each to look at.

    Attributes:
        train_x, train_y: At the size that the random crop is taken from.
        test_x, test_y: Encoded; the training images where the data set has no test images.
    """

    config: RunSettings
    train_x: ScaledImages
    train_y: ScaledImages
    test_x: Domain
    test_y: Domain

    @property
    def steps_per_epoch(self) -> int:
        """Batches until the larger domain has been shown once; a smaller rest is left out."""
        return max(len(self.train_x), len(self.train_y)) // self.config.batch_size

    def lost(self) -> str | None:
        """A training image that could be read at first and then could not, and why; or None."""
        return self.train_x.lost or self.train_y.lost

    def train_batches(
        self, start_step: int, total_steps: int, share=0, shares=1, parts=1
    ) -> tf.data.Dataset:
        """The batches of steps `start_step` to `total_steps`, the same from wherever it starts.

        Args:
            start_step: Steps to leave out.
            total_steps: Where to end.
            share: Which of the `shares` equal pieces of every batch to give: the images of the
                others are not read.
            shares: How many workers there are.
            parts: In how many elements, one after the other, to give the share of a batch: one for
                each replica of a worker.

        Returns:
            Pairs of float32 `[batch_size / shares / parts, H, W, 3]` in [-1, 1]: real_x and real_y.
        """
        batch_size = self.config.batch_size
        own = batch_size // shares

        def number_in_stream(number):
            return number // own * batch_size + share * own + number % own

        numbers = tf.data.Dataset.range(start_step * own, total_steps * own).map(number_in_stream)
        examples = numbers.map(self._examples, num_parallel_calls=tf.data.AUTOTUNE)
        batches = examples.batch(own // parts, drop_remainder=True)
        return batches.prefetch(tf.data.AUTOTUNE)

    @tf.autograph.experimental.do_not_convert
    def _examples(self, number):
        return (
            self._example(self.train_x, DOMAIN_X, number),
            self._example(self.train_y, DOMAIN_Y, number),
        )

    def _example(self, images: ScaledImages, domain: int, number):
        """The training image that comes at place `number` of the endless stream of a domain."""
        images_per_epoch = self.steps_per_epoch * self.config.batch_size
        epoch, place = number // images_per_epoch, number % images_per_epoch
        # The smaller domain goes round again within an epoch, in a new order each time.
        lap, place = place // len(images), place % len(images)
        order, crop, mirror = (fold_in([self.config.seed, domain], i) for i in range(3))
        order = fold_in(fold_in(order, epoch), lap)
        index = tf.random.experimental.index_shuffle(place, order, len(images) - 1)

        image = tf.numpy_function(images.__getitem__, [index], tf.uint8, stateful=False)
        image = tf.ensure_shape(image, images.shape)
        image = jitter(image, self.config, fold_in(crop, number), fold_in(mirror, number))
        return normalise(image)

    def test_images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Some test images of each domain, spread evenly, scaled but not cropped.

        Returns:
            Two float32 `[count, H, W, 3]` in [-1, 1]; fewer where there are fewer.
        """

        def evenly(domain: Domain):
            wanted = min(count, len(domain))
            picks = [i * len(domain) // wanted for i in range(wanted)]
            picked = Domain([domain.names[i] for i in picks], lambda i: domain.read(picks[i]))
            config = self.config
            images = ScaledImages(
                picked,
                config.image_shape,
                config.resize_method,
                config.skip_unreadable,
                config.max_pixels,
            )
            return normalise(np.stack([images[i] for i in range(len(images))])).numpy()

        return evenly(self.test_x), evenly(self.test_y)


def load_dataset(config: RunSettings) -> UnpairedImages:
    """Open the data set of `config` and read every training image once.

    Raises:
        UserError: There is no such data set, it has unreadable images, or fewer than a batch.
    """
    domains = open_source(config.dataset, config.data_dir)
    a, b = config.domains
    train_x, train_y = (
        ScaledImages(
            domains[f"train{letter}"],
            config.load_shape,
            config.resize_method,
            config.skip_unreadable,
            config.max_pixels,
        )
        for letter in (a, b)
    )
    data = UnpairedImages(
        config,
        train_x,
        train_y,
        domains.get(f"test{a}", domains[f"train{a}"]),
        domains.get(f"test{b}", domains[f"train{b}"]),
    )
    if not data.steps_per_epoch:
        raise UserError(
            f"--batch-size {config.batch_size} is larger than the data: "
            f"train{a} has {len(train_x)} images, train{b} {len(train_y)}"
        )
    return data
