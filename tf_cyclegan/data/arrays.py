"""Pictures as arrays: .npy and .npz, and DICOM."""

import io
import zipfile

import numpy as np

from ..extras import how_to_install
from ..pixels import TYPES
from .left_out import FRAMES, no_data
from .unreadable import UnreadableImage, check_size, library_errors
from .zips import unpacked

NPY, NPZ, DICM = b"\x93NUMPY", b"PK\3\4", b"DICM"
DICM_AT = 128
DICOM_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
DEFLATED_DICOM = (
    b"1.2.840.10008.1.2.1.99"  # its header is packed, too, and could unpack to anything
)
FEW = 16  # channels; an array with no more rows and more columns has its channels first
LARGEST_SAMPLE = 8  # bytes


def is_dicom(encoded: bytes) -> bool:
    """Whether bytes are a DICOM file: part 10 of the standard, section 7.1."""
    return encoded[DICM_AT : DICM_AT + 4] == DICM


def read_npy(encoded: bytes, max_pixels: int) -> np.ndarray:
    """The array of a .npy file, `[H, W]` or `[H, W, C]`, as `[H, W, C]`; no pickle is run.

    Raises:
        UnreadableImage: It is damaged, no picture, or has too many pixels.
    """
    file = io.BytesIO(encoded)
    with library_errors():
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise UnreadableImage(f"it is a .npy file of version {version}")
        # What reads version 2 reads 3, too, which differs in the names of fields alone.
        read = np.lib.format.read_array_header_1_0
        read = read if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(file)
    if dtype.hasobject or dtype.kind not in "buif":
        raise UnreadableImage(f"its samples are {dtype}, not numbers")
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise UnreadableImage(
            f"its shape is {shape}; [height, width] or [height, width, channels] is read"
        )
    if len(shape) == 3 and shape[0] <= FEW < shape[2]:
        raise UnreadableImage(
            f"its shape is {shape}, with channels first; store it as [height, width, channels]"
        )
    height, width, channels = (*shape, 1)[:3]
    check_size(width, height, channels, max_pixels)
    count = height * width * channels
    if len(encoded) - file.tell() < count * dtype.itemsize:
        raise UnreadableImage("it ends early")
    array = np.frombuffer(encoded, dtype, count, file.tell())
    array = array.reshape(shape, order="F" if is_fortran else "C").reshape(height, width, channels)
    return as_known_type(array)


def read_npz(encoded: bytes, max_pixels: int) -> np.ndarray:
    """The one array of a .npz file, as `read_npy`."""
    with library_errors():
        archive = zipfile.ZipFile(io.BytesIO(encoded))
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
    if len(entries) != 1:
        names = ", ".join(entry.filename.removesuffix(".npy") for entry in entries) or "none"
        raise UnreadableImage(f"a .npz file is read that holds one array; this one holds {names}")
    limit = 4 * max_pixels * LARGEST_SAMPLE + 2**16
    if entries[0].file_size > limit:
        raise UnreadableImage(f"its array takes {entries[0].file_size:,} bytes")
    return read_npy(unpacked(archive, entries[0]), max_pixels)


def read_dicom(encoded: bytes, max_pixels: int) -> tuple[np.ndarray, list[str]]:
    """The first frame of a DICOM file, rescaled: CT is in Hounsfield units.

    Returns:
        `[H, W, C]`, of whole numbers where slope and intercept are, and what is to be told of it.

    Raises:
        UnreadableImage: It is damaged or no picture, or pydicom is not installed.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_rescale, pixel_array
    except ImportError as error:
        raise UnreadableImage(
            f"it is DICOM, which needs a package that is not there: {how_to_install('medical')}"
        ) from error
    if DEFLATED_DICOM in encoded[: 2**12]:
        raise UnreadableImage("it is deflated as a whole; store it with another transfer syntax")
    notes = []
    with library_errors():
        data = pydicom.dcmread(io.BytesIO(encoded))
        if not any(name in data for name in DICOM_PIXELS):
            raise UnreadableImage("it is DICOM without a picture")
        check_size(int(data.Columns), int(data.Rows), int(data.SamplesPerPixel), max_pixels)
        samples = pixel_array(data, index=0)
        if int(data.get("NumberOfFrames") or 1) > 1:
            notes.append(FRAMES)
        if data.PhotometricInterpretation == "PALETTE COLOR":
            samples = np.asarray(apply_color_lut(samples, data))
        elif data.BitsAllocated == 1:
            samples = samples.astype(bool)
        elif samples.ndim == 2:
            marked = samples == data.get("PixelPaddingValue")
            samples = _in_whole_numbers(np.asarray(apply_rescale(samples, data)))
            notes += no_data(samples, samples[marked][0]) if marked.any() else []
            if data.PhotometricInterpretation == "MONOCHROME1":
                notes.append("of MONOCHROME1, shown with light and dark exchanged; values are kept")
    return as_known_type(samples.reshape(*samples.shape[:2], -1)), notes


def _in_whole_numbers(samples: np.ndarray) -> np.ndarray:
    """Floating samples that are whole numbers as the smallest signed type of 16 or 32 bits."""
    if samples.dtype.kind != "f":
        return samples
    if (samples != np.round(samples)).any() or np.abs(samples).max() >= 2**31:
        return samples.astype(np.float32)
    low, high = samples.min(), samples.max()
    return samples.astype(np.int16 if low >= -(2**15) and high < 2**15 else np.int32)


def as_known_type(samples: np.ndarray) -> np.ndarray:
    """An array in one of `pixels.TYPES`, in the machine's order of bytes.

    Truth values become 0 and 255, and whole numbers of 64 bits that fit 32 become that.

    Raises:
        UnreadableImage: There is no such type for it, or it holds NaN or infinity.
    """
    samples = np.ascontiguousarray(samples, samples.dtype.newbyteorder("="))
    if samples.dtype == bool:
        return samples.astype(np.uint8) * np.uint8(255)
    if samples.dtype in (np.int64, np.uint64):
        for smaller in (np.int32, np.uint32):
            limits = np.iinfo(smaller)
            if limits.min <= samples.min() and samples.max() <= limits.max:
                return samples.astype(smaller)
    if samples.dtype.name not in TYPES:
        raise UnreadableImage(f"its samples are {samples.dtype}; {', '.join(TYPES)} are read")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise UnreadableImage("it holds samples that are no finite numbers")
    return samples
