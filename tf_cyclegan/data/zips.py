"""What an entry of a .zip unpacks to, in memory of about the size that the directory gives for it."""

import zipfile

from .unreadable import UnreadableImage

# Of an entry, how much is unpacked at a time. zipfile passes the limit on to deflate alone: of bz2
# and lzma it unpacks all that it reads from the archive, where 40 bytes can become 46 MB.
UNPACKED_BYTES = 2**16
PACKED_BYTES = 64


def unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content of an entry.

    Raises:
        UnreadableImage: It is damaged, or unpacks to more than the directory says.
    """
    parts = []
    try:
        with archive.open(entry) as file:
            size = UNPACKED_BYTES
            if entry.compress_type in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
                size = file.MIN_READ_SIZE = PACKED_BYTES
            while part := file.read(size):
                parts.append(part)
    except MemoryError as error:
        raise UnreadableImage("it needs more memory than there is") from error
    # There is no list of what zipfile and the libraries under it raise on damaged archives.
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImage(f"the archive is damaged there: {words}") from error
    return b"".join(parts)
