"""JPEG and PNG files without what they say beside the picture: Exif, colour profile, notes."""

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"

_START_OF_SCAN = 0xDA
_APP1, _APP14, _COMMENT = 0xE1, 0xEE, 0xFE  # Exif; Adobe's, which says how colours are stored
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def without_metadata(encoded: bytes, keep_exif: bool) -> bytes:
    """Leave out of a JPEG or PNG all that its pixels do not depend on.

    Args:
        encoded: The file. Of another format, or damaged so that its blocks cannot be told apart, it
            comes back as it is from there on.
        keep_exif: Leave the Exif block in.
    """
    if encoded.startswith(JPEG_MAGIC):
        return _jpeg_without_metadata(encoded, keep_exif)
    if encoded.startswith(PNG_MAGIC):
        return _png_without_metadata(encoded, keep_exif)
    return encoded


def _jpeg_without_metadata(encoded: bytes, keep_exif: bool) -> bytes:
    """ITU T.81, annex B: segments of a marker, a length and content, until the first scan."""
    parts, place = [encoded[:2]], 2
    while place + 4 <= len(encoded) and encoded[place] == 0xFF:
        marker = encoded[place + 1]
        if marker == _START_OF_SCAN or marker in _WITHOUT_LENGTH:
            break
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        end = place + 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
        is_exif = marker == _APP1 and encoded[place + 4 : place + 10] == b"Exif\0\0"
        is_metadata = (0xE0 <= marker <= 0xEF and marker != _APP14) or marker == _COMMENT
        if not is_metadata or (is_exif and keep_exif):
            parts.append(encoded[place:end])
        place = end
    return b"".join([*parts, encoded[place:]])


def _png_without_metadata(encoded: bytes, keep_exif: bool) -> bytes:
    """PNG, third edition, section 5: chunks of a length, a type, content and a checksum."""
    parts, place = [PNG_MAGIC], len(PNG_MAGIC)
    while place + 8 <= len(encoded):
        kind = encoded[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(encoded[place : place + 4], "big")
        is_critical = not kind[0] & 0x20
        if is_critical or kind == b"tRNS" or (kind == b"eXIf" and keep_exif):
            parts.append(encoded[place:end])
        place = end
    return b"".join([*parts, encoded[place:]])
