"""The colours of a film: what its frames are in RGB, and how a film of those is described.

High dynamic range (HLG and PQ, ITU-R BT.2100) and the wide colours of BT.2020 become BT.709, which is
what networks are trained on and every player shows.
"""

import numpy as np

from ..data.light import HDR_NAMES, hdr_light

# Numbers of ITU-T H.273.
BT709, SMPTE170M, BT2020 = 1, 6, 9
GAMMA = 2.4  # of a display for BT.709 (BT.1886)

# Linear BT.2020 to linear BT.709 (BT.2087).
TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


class FilmColours:
    """How to read the frames of a film, and the tags of what is made of them.

    Args:
        av: PyAV.
        first: The first frame, decoded. Untagged films are read as players do it: BT.709 from 720
            lines on, BT.601 below.

    Attributes:
        matrix: Between RGB and YUV in the written film, as PyAV names it.
        tags: Of the written film: matrix, primaries and transfer characteristics.
        note: A sentence on what is changed; None where nothing is.
    """

    def __init__(self, av, first):
        names = av.video.reformatter.Colorspace
        known = {
            1: names.ITU709,
            4: names.FCC,
            5: names.ITU601,
            6: names.ITU601,
            7: names.SMPTE240M,
            9: names.BT2020,
        }
        tag = int(first.colorspace)
        if tag not in known:
            tag = BT709 if min(first.width, first.height) >= 720 else SMPTE170M
        self._read_as = known[tag]
        self.matrix, self.tags = known[tag], (tag, first.color_primaries, first.color_trc)
        self.note, self._transfer = None, int(first.color_trc)
        self._is_wide = self._transfer in HDR_NAMES or int(first.color_primaries) == BT2020
        if self._is_wide:
            self.matrix, self.tags = names.ITU709, (BT709, BT709, BT709)
            kind = HDR_NAMES.get(self._transfer)
            self.note = (
                f"the film is HDR ({kind}): it is tone-mapped to BT.709"
                if kind
                else "the film has the colours of BT.2020: they become those of BT.709"
            )

    def pixels(self, frame, height: int, width: int) -> np.ndarray:
        """A decoded frame scaled to a size, as uint8 RGB `[H, W, 3]`."""
        layout = "rgb48le" if self._is_wide else "rgb24"
        array = frame.to_ndarray(
            width=width, height=height, format=layout, src_colorspace=self._read_as
        )
        return to_bt709(array, self._transfer) if self._is_wide else array


def to_bt709(pixels: np.ndarray, transfer: int) -> np.ndarray:
    """Frames of BT.2020 primaries to BT.709.

    Args:
        pixels: uint16 `[H, W, 3]`, all 16 bits used.
        transfer: The film's transfer characteristics: `PQ` or `HLG` of data/light.py, or any other for
            a film that is not HDR.

    Returns:
        uint8 `[H, W, 3]`.
    """
    if transfer in HDR_NAMES:
        light = hdr_light(pixels, transfer)
    else:
        light = (pixels / np.float32(2**16 - 1)) ** np.float32(GAMMA)
    light = np.clip(light @ TO_BT709.T, 0, 1)
    return np.round(255 * light ** np.float32(1 / GAMMA)).astype(np.uint8)
