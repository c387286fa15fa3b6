"""A generator whose dropout stays when it translates: the only noise that pix2pix has."""

import keras
import tensorflow as tf

from ..models.dropout import Part, dropout_of_translation


class DroppingTranslator(tf.Module):
    """A generator whose dropout stays when it translates (Isola et al. 2017, section 2.1).

    The masks are the same for every picture of a size and every time; see `dropout_of_translation`.

    Args:
        generator: Keras model.

    Attributes:
        generator: The same.
        input_shape: Of the generator.
    """

    def __init__(self, generator: keras.Model):
        super().__init__()
        self.generator = generator

    @property
    def input_shape(self) -> tuple:
        """Of the generator: `[N, H, W, C]`."""
        return self.generator.input_shape

    def __call__(self, images, training: bool = False, part: Part | None = None):
        """Translate `[N, H, W, C]` in [-1, 1], always as it does when it is not trained.

        Args:
            images: Whole ones, or parts of one.
            training: False; that it can be said makes this callable as networks are.
            part: Where in their picture `images` are; they get the masks that the whole would have.
        """
        if training:
            raise ValueError("train the generator itself")
        with dropout_of_translation(part):
            return self.generator(images, training=False)
