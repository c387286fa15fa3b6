"""Encoded images inside a graph: JPEG and PNG to pixels with TensorFlow's operations alone."""

import tensorflow as tf

from ..pixels import RGB8, PixelFormat

JPEG_APP1, JPEG_START_OF_SCAN, JPEG_FILL = 0xE1, 0xDA, 0xFF
TIFF_LITTLE_ENDIAN, TIFF_MAGIC, TIFF_SHORT = 0x4949, 42, 3
ORIENTATION_TAG = 0x0112
MAX_BLOCKS = 1000  # of a file before the one with Exif, and of entries in that


@tf.autograph.experimental.do_not_convert
def decode_or_nothing(encoded: tf.Tensor, pixels: PixelFormat = RGB8) -> tf.Tensor:
    """Decode one JPEG or PNG, upright, the transparency of 8-bit colour on white.

    Args:
        encoded: string scalar.
        pixels: Their type, uint8 or uint16, and number of channels, 1 or 3. 16 bits are in PNGs alone.

    Returns:
        `[H, W, C]`; `[0, 0, C]` where the bytes are no such image, or but a part of one.
    """
    # An operation that fails ends all of a graph, but for those in a tf.data pipeline. Of the ways
    # to take an element out of one, `reduce` is slower by ten milliseconds.
    nothing = tf.data.Dataset.from_tensors(tf.zeros([0, 0, pixels.channels], pixels.dtype))
    decode = _decode if pixels.channels == 3 and pixels.dtype == "uint8" else _decode_as(pixels)
    decoded = tf.data.Dataset.from_tensors(encoded).map(decode).ignore_errors()
    image = decoded.concatenate(nothing).take(1).get_single_element()
    return upright(image, orientation(encoded))


def _decode(encoded):
    def decode_transparent():
        image = tf.cast(tf.io.decode_png(encoded, channels=4), tf.float32)
        alpha = image[..., 3:] / 255.0
        return tf.cast(tf.round(image[..., :3] * alpha + 255.0 * (1.0 - alpha)), tf.uint8)

    return tf.cond(
        tf.io.is_jpeg(encoded), lambda: tf.io.decode_jpeg(encoded, channels=3), decode_transparent
    )


def _decode_as(pixels: PixelFormat):
    """What decodes grey, or 16 bits; a PNG of another number of bits is none of these."""
    bits = 8 * tf.as_dtype(pixels.dtype).size

    def decode(encoded):
        def decode_png():
            has = tf.io.decode_raw(tf.strings.substr(encoded, 24, 1), tf.uint8)[0]
            with tf.control_dependencies(
                [tf.debugging.assert_equal(has, tf.constant(bits, tf.uint8))]
            ):
                content = tf.identity(encoded)
            return tf.io.decode_png(content, channels=pixels.channels, dtype=pixels.dtype)

        def decode_jpeg():
            return tf.cast(tf.io.decode_jpeg(encoded, channels=pixels.channels), pixels.dtype)

        if bits == 16:
            return decode_png()
        return tf.cond(tf.io.is_jpeg(encoded), decode_jpeg, decode_png)

    return decode


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn and mirror `[H, W, C]` as an Exif orientation, int64 from 1 to 8, says."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    for axis, orientations in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        is_mirrored = tf.reduce_any(orientation == tf.constant(orientations, tf.int64))
        image = tf.where(is_mirrored, tf.reverse(image, [axis]), image)
    return image


@tf.autograph.experimental.do_not_convert
def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """The Exif orientation of a JPEG or PNG.

    Args:
        encoded: string scalar; any bytes.

    Returns:
        int64 scalar from 1 to 8; 1, which is upright, where none can be read.
    """
    data = _Bytes(encoded)
    exif = tf.cond(tf.io.is_jpeg(encoded), lambda: _exif_in_jpeg(data), lambda: _exif_in_png(data))
    found = _orientation_in_tiff(data, exif)
    return tf.where((exif > 0) & (found >= 1) & (found <= 8), found, tf.ones_like(found))


def _exif_in_jpeg(data: "_Bytes") -> tf.Tensor:
    """Where the TIFF data of the Exif segment begin; 0 if there are none (ITU T.81, annex B)."""

    def next_block(place):
        marker, length = data.number(place + 1, 1), data.number(place + 2, 2)
        is_exif = (
            (marker == JPEG_APP1)
            & (data.number(place + 4, 4) == int.from_bytes(b"Exif", "big"))
            & (data.number(place + 8, 2) == 0)
        )
        has_ended = (data.number(place, 1) != 0xFF) | (marker == JPEG_START_OF_SCAN)
        return (
            tf.where(is_exif, place + 10, 0),
            tf.where(marker == JPEG_FILL, place + 1, place + 2 + length),
            has_ended,
        )

    return _walk(data, tf.constant(2, tf.int64), next_block)


def _exif_in_png(data: "_Bytes") -> tf.Tensor:
    """The same in a PNG's eXIf chunk (PNG, third edition, section 5)."""

    def next_block(place):
        is_exif = data.number(place + 4, 4) == int.from_bytes(b"eXIf", "big")
        return tf.where(is_exif, place + 8, 0), place + 12 + data.number(place, 4), False

    return _walk(data, tf.constant(8, tf.int64), next_block)


def _walk(data: "_Bytes", start: tf.Tensor, next_block) -> tf.Tensor:
    """Go from block to block until one is found; `next_block` gives (found or 0, next, ended)."""

    def goes_on(found, place):
        return (found == 0) & (place < data.length)

    def step(_, place):
        found, following, has_ended = next_block(place)
        return found, tf.where(has_ended, data.length, following)

    found, _ = tf.while_loop(
        goes_on, step, (tf.zeros([], tf.int64), start), maximum_iterations=MAX_BLOCKS
    )
    return found


def _orientation_in_tiff(data: "_Bytes", start: tf.Tensor) -> tf.Tensor:
    """The orientation in the first directory of TIFF data (TIFF 6.0, section 2); 0 without."""
    little = data.number(start, 2) == TIFF_LITTLE_ENDIAN
    directory = start + data.number(start + 4, 4, little)
    count = tf.minimum(data.number(directory, 2, little), MAX_BLOCKS)
    entries = directory + 2 + 12 * tf.range(count)
    is_orientation = (
        (data.number(entries, 2, little) == ORIENTATION_TAG)
        & (data.number(entries + 2, 2, little) == TIFF_SHORT)
        & (data.number(start + 2, 2, little) == TIFF_MAGIC)
    )
    values = tf.where(is_orientation, data.number(entries + 8, 2, little), 0)
    return tf.reduce_max(tf.concat([values, tf.zeros([1], tf.int64)], 0))


class _Bytes:
    """The numbers in a string scalar; zeros where it has ended."""

    def __init__(self, encoded: tf.Tensor):
        content = tf.io.decode_raw(encoded, tf.uint8)
        self.length = tf.size(content, tf.int64)
        self._values = tf.concat([content, tf.zeros([1], tf.uint8)], 0)

    def number(self, place: tf.Tensor, size: int, little: tf.Tensor | bool = False) -> tf.Tensor:
        """int64 of `size` bytes from `place` on, which may have any shape."""
        steps = tf.range(size, dtype=tf.int64)
        places = place[..., None] + tf.where(little, size - 1 - steps, steps)
        places = tf.where(places < self.length, places, self.length)
        weights = tf.constant([256**power for power in range(size)][::-1], tf.int64)
        return tf.reduce_sum(tf.cast(tf.gather(self._values, places), tf.int64) * weights, -1)
