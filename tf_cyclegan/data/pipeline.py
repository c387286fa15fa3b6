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
from .decode import UnreadableImage, resized
from .pairs import paired as in_pairs
from .passed_over import passed_over
from .piles import open_data
from .sources import Domain

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
        indices: Places in the domain of the images that are there.
        skipped: Names of those that are left out.
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
        self._resized = partial(resized, shape=shape, method=method)
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
        self.indices = [i for i, name in enumerate(domain.names) if name not in problems]
        self.shape = (*shape, 3)
        if not self.indices:
            raise UserError(f"no image can be read, the first is {self.skipped[0]}")

    @property
    def names(self) -> Sequence[str]:
        """Of the images that are there."""
        return [self._domain.names[i] for i in self.indices]

    def keep(self, indices: Sequence[int]) -> None:
        """Leave out all but those of the domain's `indices`, which are in its order."""
        left_out = set(self.indices) - set(indices)
        self.skipped += [
            f"{self._domain.names[i]} (its partner cannot be read)" for i in sorted(left_out)
        ]
        self.indices = list(indices)

    def _read_all(self) -> dict[str, str]:
        """Decode every image once, to keep it or only to know that it can be read."""

        def check(index: int) -> str | None:
            try:
                image = self._domain.image(index, self._max_pixels)
                if self._cache is not None:
                    self._cache[index] = self._resized(image)
            except UnreadableImage as error:
                return str(error)
            return None

        names = self._domain.names
        with ThreadPoolExecutor(cpu_count()) as threads:
            results = progress(threads.map(check, range(len(names))), len(names), "reading images")
            return {name: reason for name, reason in zip(names, results, strict=True) if reason}

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, position: int) -> np.ndarray:
        """The image as uint8 `[H, W, 3]`."""
        index = self.indices[position]
        if self._cache is not None:
            return self._cache[index]
        try:
            return self._resized(self._domain.image(index, self._max_pixels))
        except UnreadableImage as error:
            self.lost = f"{self._domain.names[index]} ({error})"
            raise


@dataclass(frozen=True)
class UnpairedImages:
    """Two domains to train on, and some images of each to look at.

    Attributes:
        train_x, train_y: At the size that the random crop is taken from.
        test_x, test_y: Encoded; the training images where the data set has no test images.
        tested_on_training: Of which domains, X and Y, the test images are training images.
        passed_over: What lies among the images and is none, in a sentence; "" if there is nothing.
    """

    config: RunSettings
    train_x: ScaledImages
    train_y: ScaledImages
    test_x: Domain
    test_y: Domain
    tested_on_training: tuple[str, ...] = ()
    passed_over: str = ""

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
            return _scaled(domain.pick(picks), self.config, self.config.image_shape)

        test_x, test_y = self._kept(evenly(self.test_x), evenly(self.test_y))
        return tuple(
            normalise(np.stack([images[i] for i in range(len(images))])).numpy()
            for images in (test_x, test_y)
        )

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


def _scaled(domain: Domain, config: RunSettings, shape: tuple[int, int]) -> ScaledImages:
    """The images of a domain at a size, otherwise as `config` says."""
    return ScaledImages(
        domain, shape, config.resize_method, config.skip_unreadable, config.max_pixels
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
    train_x, train_y = (_scaled(domain, config, config.load_shape) for domain in train)
    untested = tuple(
        name for letter, name in ((a, "X"), (b, "Y")) if f"test{letter}" not in domains
    )
    kind = PairedImages if paired else UnpairedImages
    others = passed_over(config, domains)
    data = kind(config, train_x, train_y, *test, untested, others)
    if not data.steps_per_epoch:
        raise UserError(
            f"--batch-size {config.batch_size} is larger than the data: "
            f"train{a} has {len(train_x)} images, train{b} {len(train_y)}"
        )
    return data
