"""Translate a film frame by frame, in constant memory, with its sound and its timing."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..extras import how_to_install
from ..files import writing
from ..paths import missing
from ..pictures import side_by_side as beside_each_other
from ..progress import ProgressLine, log
from .film_colours import FilmColours
from .film_sound import add_sound
from .smoothing import Smoothing

# Suffix of a film to write: container, video encoder and its settings, encoder of sound that has to
# be encoded anew.
_H264 = ("libx264", {"crf": "18"}, "aac")
FORMATS = {
    ".mp4": ("mp4", *_H264),
    ".m4v": ("mp4", *_H264),
    ".mov": ("mov", *_H264),
    ".mkv": ("matroska", *_H264),
    ".webm": ("webm", "libvpx-vp9", {"crf": "24", "b": "0"}, "libopus"),
}
# FFmpeg would also read text as a film, and play lists that lead to other files.
DEMUXERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif"
BATCH_PIXELS = 2**20
MAX_BATCH = 16


def check_output(path: Path) -> None:
    """Raise UserError unless `path` ends as a film that can be written."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"--output {path} should be a film and end in {', '.join(FORMATS)}")


def import_av():
    """PyAV, which binds FFmpeg.

    Raises:
        UserError: It is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"--video needs a package that is not there ({error.name}): {how_to_install('video')}"
        ) from error
    return av


def check_input(path: Path) -> None:
    """Raise UserError unless `path` is a film with a video stream."""
    with _open_film(path):
        pass


def translate_video(
    translate: Callable[[np.ndarray], np.ndarray],
    source: Path,
    target: Path,
    batch_size: int | None = None,
    side_by_side: bool = False,
    smooth: float = 0.0,
) -> int:
    """Translate every frame of a film.

    Each frame keeps its timestamp, sound is copied as it is where the container can hold it and
    encoded anew where not, rotated films come out upright, and colours are read and written by the
    film's own description; what is HDR or of BT.2020 becomes BT.709. Tracks that cannot be kept
    (subtitles, data, sound of no known kind) are named and left out, and a film that was cut short is
    translated to its last whole frame. Frames with an odd side get one row or column more, the last
    one again, since the encoders take even sides.

    Args:
        translate: From uint8 images `[N, H, W, 3]` to the same.
        source: Film in any of the usual containers.
        target: Film to write: .mp4, .m4v, .mov, .mkv or .webm.
        batch_size: Frames translated at once (default: as many as make a megapixel, at most 16).
        side_by_side: Put the original to the left of each translated frame.
        smooth: See `Smoothing`; 0 is none.

    Returns:
        The number of frames written.

    Raises:
        UserError: The source is no film or broken, or the target cannot be written.
    """
    av = import_av()
    check_output(target)
    with _open_film(source) as (film, video), writing(target) as beside, _encoding(av, target):
        total = video.frames or _count_frames(source)
        events = _events(av, film, video, source)
        before, first = [], None  # sound may come before the first frame
        for event in events:
            if isinstance(event, av.VideoFrame):
                first = event
                break
            before.append(event)
        if first is None:
            raise UserError(f"{source} holds no frame that can be read")
        container, *_, sound_encoder = FORMATS[target.suffix.lower()]
        _say_what_is_left_out(film, video)
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
        with (
            av.open(str(beside), "w", format=container, options=options) as output,
            ProgressLine(total, "translating frames") as line,
        ):
            sounds = add_sound(av, output, film.streams.audio, target, sound_encoder)
            smoothing = Smoothing(smooth) if smooth else None
            frames = _FrameWriter(av, output, video, first, target, side_by_side)
            if batch_size is None:
                batch_size = max(1, min(MAX_BATCH, BATCH_PIXELS // (first.width * first.height)))
            batch = []

            def write_batch():
                originals = np.stack([frames.pixels(frame) for frame in batch])
                translated = translate(originals)
                for frame, original, picture in zip(batch, originals, translated, strict=True):
                    if smoothing:
                        picture = smoothing(original, picture)
                    frames.write(frame, original, picture)
                    line.update(frames.count)
                batch.clear()

            for event in chain(before, [first], events):
                if isinstance(event, av.VideoFrame):
                    batch.append(event)
                    if len(batch) == batch_size:
                        write_batch()
                elif event.stream.index in sounds:
                    sounds[event.stream.index](event)
            if batch:
                write_batch()
            frames.end()
    if frames.count < video.frames:
        log(f"{source} was cut short: {frames.count} of its {video.frames} frames are there")
    return frames.count


def _say_what_is_left_out(film, video) -> None:
    others = [one.type for one in film.streams if one.type != "audio" and one is not video]
    if others:
        counts = ", ".join(
            f"{count} of {kind}" for kind, count in Counter(map(_kind, others)).items()
        )
        log(f"tracks that are left out: {counts}")


def _kind(type_: str) -> str:
    return {"subtitle": "subtitles", "attachment": "attached files"}.get(type_, type_)


@contextmanager
def _open_film(path: Path) -> Iterator[tuple]:
    """A film open for reading, and its video stream."""
    av = import_av()
    if not path.is_file():
        raise UserError(missing("film", path))
    safe = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
    try:
        film = av.open(str(path), container_options=safe)
    except (av.FFmpegError, OSError) as error:
        raise UserError(
            f"{path} is not a film that can be read ({_reason(error)}); it takes mp4, mov, mkv, "
            "webm, avi, gif and the like"
        ) from error
    with film:
        pictured = av.stream.Disposition.attached_pic  # the cover of a song
        streams = [one for one in film.streams.video if not one.disposition & pictured]
        if not streams:
            raise UserError(f"{path} has no video stream")
        streams[0].thread_type = "AUTO"
        yield film, streams[0]


def _count_frames(path: Path) -> int:
    """The frames of a film whose container does not say how many there are, without decoding."""
    with _open_film(path) as (film, video):
        return max(1, sum(packet.size > 0 for packet in film.demux(video)))


def _events(av, film, video, source: Path) -> Iterator:
    """Decoded frames and packets of sound, as they come in the file, to the last that is whole."""
    damaged = 0
    sounds = [stream for stream in film.streams.audio if stream.codec_context is not None]
    packets = film.demux(video, *sounds)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.FFmpegError as error:
            log(
                f"{source} cannot be read to its end ({_reason(error)}); what came before it is kept"
            )
            break
        is_sound = packet.stream.index != video.index
        if packet.is_corrupt:  # cut off; a decoder would make up what is missing
            damaged += not is_sound
            continue
        if is_sound:
            yield packet
            continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damaged += 1
            continue
        for frame in frames:
            if frame.is_corrupt:
                damaged += 1
            else:
                yield frame
    if damaged:
        log(f"damaged frames of {source} that are left out: {damaged}")


@contextmanager
def _encoding(av, target: Path) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise UserError(f"cannot write {target} ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class _FrameWriter:
    """Encodes pictures as the frames of a film that look and last as those of another.

    Args:
        av: PyAV.
        output: Container to write.
        video: Stream that the frames come from.
        first: Its first frame, decoded.
        target: Path of the output, for its suffix and messages.
        side_by_side: The pictures are pairs.
    """

    def __init__(self, av, output, video, first, target: Path, side_by_side: bool):
        self._av, self._output, self._side_by_side = av, output, side_by_side
        self._shape = (first.height, first.width)
        self._time_base, self._rate = video.time_base, video.average_rate or 25
        self._colours = FilmColours(av, first)
        if self._colours.note:
            log(self._colours.note)
        self._last, self.count = None, 0

        height, width, _ = self.pixels(first).shape
        if side_by_side:
            width *= 2
        _, encoder, options, _ = FORMATS[target.suffix.lower()]
        stream = output.add_stream(encoder, rate=self._rate, options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = self._time_base
        if aspect := video.sample_aspect_ratio:
            upright = first.rotation % 180 == 0
            context.sample_aspect_ratio = aspect if upright else 1 / aspect
        context.color_range = av.video.reformatter.ColorRange.MPEG
        context.colorspace, context.color_primaries, context.color_trc = self._colours.tags
        self._stream = stream
        if (width % 2, height % 2) != (0, 0):
            log(
                f"{width}x{height} is written as {stream.width}x{stream.height}: sides must be even"
            )

    def pixels(self, frame) -> np.ndarray:
        """A decoded frame as uint8 RGB `[H, W, 3]`, upright."""
        height, width = self._shape  # of the first: a stream may change its size
        return np.rot90(self._colours.pixels(frame, height, width), round(frame.rotation / 90))

    def write(self, frame, original: np.ndarray, translated: np.ndarray) -> None:
        """Encode uint8 `[H, W, 3]` in the place of `frame`."""
        if self._side_by_side:
            translated = np.asarray(beside_each_other(original, translated))
        height, width, _ = translated.shape
        even = np.pad(translated, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        picture = picture.reformat(
            format="yuv420p",
            dst_colorspace=self._colours.matrix,
            dst_color_range=self._av.video.reformatter.ColorRange.MPEG,
        )
        pts = frame.pts
        if pts is None:
            pts = round(self.count / self._rate / self._time_base)
        if self._last is not None:
            pts = max(pts, self._last + 1)  # encoders refuse time that stands still
        picture.pts, picture.time_base, picture.duration = pts, self._time_base, frame.duration
        self._output.mux(self._stream.encode(picture))
        self._last, self.count = pts, self.count + 1

    def end(self) -> None:
        """Write what the encoder still holds."""
        self._output.mux(self._stream.encode(None))
