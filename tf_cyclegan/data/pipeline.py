"""From two domains to a stream of batches that follows from seed and step alone."""

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from ..errors import UserError
from ..pixels import RGB8, PixelFormat, range_text
from ..settings import RunSettings
from .augmentation import recoloured, turned_and_magnified
from .fit import ANY_SIZE
from .pairs import paired as in_pairs
from .passed_over import passed_over
from .piles import open_data
from .scaled import ScaledImages, scaled_images
from .sources import Domain
from .survey import Wanted

DOMAIN_X, DOMAIN_Y = 0, 1

fold_in = tf.random.fold_in


def normalise(images, pixels: PixelFormat = RGB8):
    """Samples of a domain to float32 in [-1, 1], as `PixelFormat.to_unit`, in a graph."""
    if pixels.low == 0 and pixels.computes_in == "float32":
        unit = tf.cast(images, tf.float32) / pixels.half - 1.0
    else:
        samples = tf.cast(images, pixels.computes_in)
        unit = tf.cast((samples - pixels.low) / pixels.half - 1.0, tf.float32)
    return unit if pixels.takes_all else tf.clip_by_value(unit, -1.0, 1.0)


def denormalise(images, pixels: PixelFormat = RGB8):
    """Float images in [-1, 1] to samples of a domain, as `PixelFormat.from_unit`, in a graph."""
    values = tf.cast(images, pixels.computes_in)
    values = (values + 1.0) * pixels.half
    values = values + pixels.low if pixels.low else values
    if not tf.as_dtype(pixels.dtype).is_floating:
        values = tf.round(values)
    return tf.cast(tf.clip_by_value(values, *pixels.limits), pixels.dtype)


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


@dataclass(frozen=True)
class UnpairedImages:
    """Two domains to train on, and some images of each to look at.

    Attributes:
        config: The settings, with what the pixels of both were found to be.
        train_x, train_y: At the size that the random crop is taken from.
        test_x, test_y: Encoded; the training images where the data set has no test images.
        tested_on_training: Of which domains, X and Y, the test images are training images.
        passed_over: What lies among the images and is none, in a sentence; "" if there is nothing.
        held_out_x, held_out_y: Training images that are not trained on, at the same size; or None.
    """

    config: RunSettings
    train_x: ScaledImages
    train_y: ScaledImages
    test_x: Domain
    test_y: Domain
    tested_on_training: tuple[str, ...] = ()
    passed_over: str = ""
    held_out_x: ScaledImages | None = None
    held_out_y: ScaledImages | None = None

    def __post_init__(self):
        self._kept(self.train_x, self.train_y)

    @property
    def steps_per_epoch(self) -> int:
        """Batches until the larger domain has been shown once; a smaller rest is left out."""
        return max(len(self.train_x), len(self.train_y)) // self.config.batch_size

    @property
    def about_test_images(self) -> str:
        """Words on test images that were trained on; "" where none were."""
        untested = " and ".join(self.tested_on_training)
        return untested and f"training images of {untested}: there are no others to test with"

    @property
    def lines(self) -> list[str]:
        """What both domains are, and what was done to their pictures, a line each."""
        return [*self.train_x.lines, *self.train_y.lines]

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
        """The training image that comes at place `number` of the endless stream of a domain.

        Its order, crop and mirror follow from the number of the domain: the same one gives two
        domains of as many images the same.
        """
        images_per_epoch = self.steps_per_epoch * self.config.batch_size
        epoch, place = number // images_per_epoch, number % images_per_epoch
        # The smaller domain goes round again within an epoch, in a new order each time.
        lap, place = place // len(images), place % len(images)
        order, crop, mirror = (fold_in([self.config.seed, domain], i) for i in range(3))
        order = fold_in(fold_in(order, epoch), lap)
        index = tf.random.experimental.index_shuffle(place, order, len(images) - 1)

        crop, mirror = fold_in(crop, number), fold_in(mirror, number)
        if self.config.fit in ANY_SIZE:
            image = self._cut(images, index, crop)
        else:
            image = tf.numpy_function(
                images.__getitem__, [index], images.pixels.dtype, stateful=False
            )
            image = tf.ensure_shape(image, images.shape)
        affine, colours = (fold_in([self.config.seed, domain], i) for i in (3, 4))
        image = turned_and_magnified(image, self.config, fold_in(affine, number))
        image = jitter(image, self.config, crop, mirror)
        image = recoloured(image, self.config, fold_in(colours, number))
        return normalise(image, images.pixels)

    def _cut(self, images: ScaledImages, index, seed):
        """A random cut from an image of any size, of the size of training images."""

        def cut(position, shares):
            return np.ascontiguousarray(
                images.cut(int(position), self.config.image_shape, (shares[0], shares[1]))
            )

        shares = tf.random.stateless_uniform([2], seed)
        image = tf.numpy_function(cut, [index, shares], images.pixels.dtype, stateful=False)
        return tf.ensure_shape(image, (*self.config.image_shape, images.pixels.channels))

    def test_images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Some test images of each domain, spread evenly, scaled but not cropped.

        Returns:
            Two float32 `[count, H, W, 3]` in [-1, 1]; fewer where there are fewer.
        """

        def evenly(domain: Domain, wanted: Wanted) -> ScaledImages:
            number = min(count, len(domain))
            picks = [i * len(domain) // number for i in range(number)]
            return scaled_images(domain.pick(picks), self.config, shape, wanted)

        shape = self.config.image_shape
        x, y = (
            evenly(domain, Wanted.exactly(pixels, of))
            for domain, pixels, of in zip(
                (self.test_x, self.test_y), self.config.pixels, "xy", strict=True
            )
        )
        return tuple(
            images.pixels.to_unit(np.stack([images.cut(i, shape) for i in range(len(images))]))
            for images in self._kept(x, y)
        )

    def centres(self, images: ScaledImages, count: int) -> np.ndarray:
        """Middles of the first of them, as large as training crops: `[count, H, W, C]` in [-1, 1]."""
        shape = self.config.image_shape
        cuts = [images.cut(i, shape) for i in range(min(count, len(images)))]
        return images.pixels.to_unit(np.stack(cuts))

    def _kept(self, x: ScaledImages, y: ScaledImages) -> tuple[ScaledImages, ScaledImages]:
        """What to use of images that could be read; one of the two may lack some."""
        return x, y


class PairedImages(UnpairedImages):
    """Two domains in one order: in each place, two pictures of the same thing.

    Both of a pair come together, are cut at the same place and mirrored together; where one of them
    is left out, so is the other.
    """

    @tf.autograph.experimental.do_not_convert
    def _examples(self, number):
        return (
            self._example(self.train_x, DOMAIN_X, number),
            self._example(self.train_y, DOMAIN_X, number),
        )

    def _kept(self, x: ScaledImages, y: ScaledImages) -> tuple[ScaledImages, ScaledImages]:
        both = sorted(set(x.indices) & set(y.indices))
        if not both:
            raise UserError(f"no pair can be read, the first is {x.skipped[0]}")
        for images in (x, y):
            images.keep(both)
        return x, y


def wanted_of(config: RunSettings) -> tuple[Wanted, Wanted]:
    """What settings say of the pixels of X and of Y."""
    x, y = (
        Wanted(
            of,
            None if channels is None else pixels.channels,
            type_,
            None if range_ is None else (pixels.low, pixels.high),
        )
        for of, pixels, channels, type_, range_ in zip(
            "xy",
            config.pixels,
            (config.channels_x, config.channels_y),
            (config.type_x, config.type_y),
            (config.range_x, config.range_y),
            strict=True,
        )
    )
    return x, y


def with_pixels(config: RunSettings, x: PixelFormat, y: PixelFormat) -> RunSettings:
    """Settings that say what the pixels of X and of Y were found to be."""
    return replace(
        config,
        channels_x=x.channels,
        channels_y=y.channels,
        type_x=x.dtype,
        type_y=y.dtype,
        range_x=range_text(x.low, x.high),
        range_y=range_text(y.low, y.high),
    )


def divided(domain: Domain, share: float) -> tuple[Domain, Domain]:
    """A domain without a share of its images, spread evenly, at least one; and those."""
    count = max(1, round(share * len(domain)))
    taken = {i * len(domain) // count for i in range(count)}
    return domain.pick([i for i in range(len(domain)) if i not in taken]), domain.pick(
        sorted(taken)
    )


def load_dataset(config: RunSettings, paired: bool = False) -> UnpairedImages:
    """Open the data set of `config` and read every training image once.

    Args:
        config: The settings of a run.
        paired: Whether its images are pairs, which stay together.

    Raises:
        UserError: There is no such data set, it has unreadable images, fewer than a batch, or an
            image without a partner where they are to be pairs.
    """
    domains = open_data(config)
    a, b = config.domains
    train = [domains[f"train{letter}"] for letter in (a, b)]
    test = [domains.get(f"test{letter}", domains[f"train{letter}"]) for letter in (a, b)]
    if paired:
        train, test = (in_pairs(*both, config.data_name) for both in (train, test))
    others: tuple[Domain, ...] = ()
    if config.held_out:
        train, others = zip(*(divided(domain, config.held_out) for domain in train), strict=True)
    train_x, train_y = (
        scaled_images(domain, config, config.train_shape, wanted)
        for domain, wanted in zip(train, wanted_of(config), strict=True)
    )
    config = with_pixels(config, train_x.pixels, train_y.pixels)
    if config.color_jitter and config.pixels != (RGB8, RGB8):
        raise UserError(
            "--color-jitter is of 8-bit colour images; leave it out, or pass --channels-x rgb and "
            "--channels-y rgb"
        )
    held_out = [
        scaled_images(domain, config, config.train_shape, Wanted.exactly(images.pixels, of))
        for domain, images, of in zip(others, (train_x, train_y), "xy", strict=False)
    ]
    untested = tuple(
        name for letter, name in ((a, "X"), (b, "Y")) if f"test{letter}" not in domains
    )
    kind = PairedImages if paired else UnpairedImages
    data = kind(config, train_x, train_y, *test, untested, passed_over(domains), *held_out)
    if not data.steps_per_epoch:
        raise UserError(
            f"--batch-size {config.batch_size} is larger than the data: "
            f"train{a} has {len(train_x)} images, train{b} {len(train_y)}"
        )
    return data
