"""Colour profiles, made by hand after the specification of the ICC (ICC.1:2001-04)."""

import struct


def profile(gamma, primaries):
    """An ICC profile of a screen: its primaries (columns of XYZ under D50) and one gamma."""

    def number(value):
        return struct.pack(">i", round(value * 65536))

    tags = {b"wtpt": b"XYZ \0\0\0\0" + b"".join(map(number, (0.9642, 1.0, 0.8249)))}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">L", 8) + b"A space\0" + bytes(78)
    tags[b"cprt"] = b"text\0\0\0\0free\0\0\0\0"
    for name, column in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(map(number, column))
        curve = struct.pack(">LH", 1, round(gamma * 256)) + bytes(2)
        tags[name + b"TRC"] = b"curv\0\0\0\0" + curve
    return _whole(tags, b"mntrRGB XYZ ")


def grey_profile(gamma):
    """An ICC profile of grey with one gamma."""
    curve = struct.pack(">LH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)}
    tags |= {b"kTRC": b"curv\0\0\0\0" + curve}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">L", 5) + b"Grey\0" + bytes(78)
    return _whole(tags, b"mntrGRAYXYZ ")


def ink_profile(lab):
    """An ICC profile of four inks: a table of 2x2x2x2 colours, between which it interpolates.

    Args:
        lab: From how much of C, M, Y and K there is, each 0 or 1, to the Lab colour on paper.
    """
    table = b"mft2\0\0\0\0" + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table += struct.pack(">HH", 2, 2) + struct.pack(">2H", 0, 65535) * 4
    for number in range(16):
        lightness, a, b = lab[tuple(number >> bit & 1 for bit in (3, 2, 1, 0))]
        # Of version 2: 65280 is 100, and 32768 is no colour (ICC.1:2001-04, annex A).
        table += struct.pack(
            ">3H", round(lightness * 652.8), round(256 * (a + 128)), round(256 * (b + 128))
        )
    table += struct.pack(">2H", 0, 65535) * 3
    tags = {b"A2B0": table, b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">L", 6) + b"Press\0" + bytes(78)
    return _whole(tags, b"prtrCMYKLab ")


def _whole(tags, kind):
    directory, content = struct.pack(">L", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">LL", start + len(content), len(data))
        content += data
    header = bytes(4) + b"lcms" + bytes.fromhex("02400000") + kind + bytes(12)
    header += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    whole = header.ljust(128, b"\0") + directory + content
    return struct.pack(">L", len(whole)) + whole[4:]


ADOBE_RGB = profile(
    2.19921875, ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
)
