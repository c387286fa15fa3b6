"""Curves between the codes of a picture or a film and the light that they stand for.

sRGB's, and those of high dynamic range (PQ and HLG, ITU-R BT.2100), whose light is mapped to what
networks are trained on and every screen shows.
"""

import functools

import numpy as np

PQ, HLG = 16, 18  # transfer characteristics, numbers of ITU-T H.273
HDR_NAMES = {PQ: "PQ", HLG: "HLG"}

PEAK = 1000.0  # cd/m2 of the display that films are graded on: HLG's nominal one
WHITE = 203.0  # cd/m2 of a white sheet in HDR (BT.2408), which becomes the white of a screen
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """Light from 0 to 1 as sRGB's codes from 0 to 1 (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def hdr_light(codes: np.ndarray, transfer: int) -> np.ndarray:
    """The light of HDR colours, tone-mapped, in the primaries that they are of.

    Args:
        codes: uint16 `[..., 3]`, all 16 bits used.
        transfer: `PQ` or `HLG`.

    Returns:
        float32 of the same shape, from 0 to 1.
    """
    light = _hdr_curve(transfer)[codes]
    if transfer == HLG:
        # The OOTF of BT.2100, table 5, with the gamma of a display of `PEAK`.
        luminance = light @ _BT2020_LUMINANCE
        light *= PEAK / WHITE * np.maximum(luminance, 1e-6)[..., None] ** np.float32(0.2)
    # By the largest of the three, so that the hue stays.
    largest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light *= tone_mapped(largest * WHITE) / (largest * WHITE)
    return light


@functools.lru_cache
def _hdr_curve(transfer: int) -> np.ndarray:
    """Linear light of every uint16 code: 1 is `WHITE`, but of HLG the most that a scene has."""
    code = np.arange(2**16) / (2**16 - 1)
    if transfer == PQ:
        light = pq_to_light(code) / WHITE
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073  # BT.2100, table 5
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
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
