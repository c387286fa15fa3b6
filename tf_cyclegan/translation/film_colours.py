"""The colours of a film: what its frames are in RGB, and how a film of those is described.

High dynamic range (HLG and PQ, ITU-R BT.2100) and the wide colours of BT.2020 become BT.709, which is
what networks are trained on and every player shows.
"""

import functools

import numpy as np

# Numbers of ITU-T H.273.
BT709, SMPTE170M, BT2020 = 1, 6, 9
PQ, HLG = 16, 18  # transfer characteristics
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}

PEAK = 1000.0  # cd/m2 of the display that films are graded on: HLG's nominal one
WHITE = 203.0  # cd/m2 of a white sheet in HDR (BT.2408), which becomes the white of BT.709
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
        transfer: The film's transfer characteristics: `PQ`, `HLG`, or any other for a film that is
            not HDR.

    Returns:
        uint8 `[H, W, 3]`.
    """
    light = _curve(transfer)[pixels]
    if transfer == HLG:
        # The OOTF of BT.2100, table 5, with the gamma of a display of `PEAK`.
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= PEAK / WHITE * np.maximum(luminance, 1e-6)[..., None] ** np.float32(0.2)
    if transfer in HDR_NAMES:
        # By the largest of the three, so that the hue stays.
        largest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
        light *= tone_mapped(largest * WHITE) / (largest * WHITE)
    light = np.clip(light @ TO_BT709.T, 0, 1)
    return np.round(255 * light ** np.float32(1 / GAMMA)).astype(np.uint8)


@functools.lru_cache
def _curve(transfer: int) -> np.ndarray:
    """Linear light of every uint16 code: 1 is `WHITE`, but of HLG the most that a scene has."""
    code = np.arange(2**16) / (2**16 - 1)
    if transfer == PQ:
        light = pq_to_light(code) / WHITE
    elif transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073  # BT.2100, table 5
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    else:
        light = code**GAMMA
    return light.astype(np.float32)


# SMPTE ST 2084.
_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128


def pq_to_light(code):
    """PQ codes from 0 to 1 to cd/m2."""
    power = np.maximum(code, 0) ** (1 / _M2)
    return 10000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def light_to_pq(light):
    """cd/m2 to PQ codes from 0 to 1."""
    power = (np.maximum(light, 0) / 10000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def tone_mapped(light):
    """cd/m2 up to `PEAK` to cd/m2 up to `WHITE`: the EETF of Report ITU-R BT.2390, section 5.4.1.

    What is dark stays as it is; from a knee on a spline leads to the new maximum.
    """
    peak = light_to_pq(PEAK)
    code = np.minimum(light_to_pq(light) / peak, 1)
    most = light_to_pq(WHITE) / peak
    knee = 1.5 * most - 0.5
    t = (code - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * most
    )
    return pq_to_light(np.where(code < knee, code, spline) * peak)
