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
    directory, content = struct.pack(">L", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">LL", start + len(content), len(data))
        content += data
    header = bytes(4) + b"lcms" + bytes.fromhex("02400000") + b"mntrRGB XYZ " + bytes(12)
    header += b"acsp" + bytes(28) + b"".join(map(number, (0.9642, 1.0, 0.8249)))
    whole = header.ljust(128, b"\0") + directory + content
    return struct.pack(">L", len(whole)) + whole[4:]


ADOBE_RGB = profile(
    2.19921875, ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
)
