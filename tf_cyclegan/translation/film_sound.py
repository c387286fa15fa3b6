"""The sound of a film in another: copied where the container can hold it, else encoded anew."""

from collections.abc import Callable
from pathlib import Path

from ..progress import log


def add_sound(av, output, streams, target: Path, encoder: str) -> dict[int, Callable]:
    """Add the tracks of sound to a film; those that cannot be kept are named and left out.

    Args:
        av: PyAV.
        output: Film to write.
        streams: Tracks of the film that is read.
        target: Path of the film to write, for messages.
        encoder: Of sound that the container cannot hold as it is.

    Returns:
        For each track that is kept, by its index, what takes its packets.
    """
    kept = {}
    for number, stream in enumerate(streams, 1):
        name = f"sound track {number} ({_codec(stream)})"
        if stream.codec_context is None:
            log(f"{name} is left out: nothing here knows what it is")
            continue
        try:
            kept[stream.index] = _copy(output, stream)
            continue
        except ValueError:
            pass  # the container cannot hold it as it is
        try:
            kept[stream.index] = _encode(av, output, stream, encoder, name)
        except (av.FFmpegError, ValueError) as error:
            log(f"{name} is left out: it cannot be encoded for a {target.suffix} ({error})")
        else:
            log(
                f"a {target.suffix} cannot hold {_codec(stream)} sound: it is encoded anew, as "
                f"{encoder.removeprefix('lib')}"
            )
    return kept


def _codec(stream) -> str:
    if stream.codec_context is None:
        return "unknown"
    return stream.codec_context.codec.canonical_name


def _copy(output, stream) -> Callable:
    copy = output.add_stream_from_template(stream)

    def write(packet):
        if packet.dts is not None:  # an empty one marks the end
            packet.stream = copy
            output.mux(packet)

    return write


def _encode(av, output, stream, encoder: str, name: str) -> Callable:
    context = stream.codec_context
    rate = 48000 if encoder == "libopus" else context.sample_rate
    # Tried beside the film first: a track, once added, cannot be taken out again.
    trial = av.CodecContext.create(encoder, "w")
    trial.sample_rate, trial.layout, trial.format = rate, context.layout, "fltp"
    if encoder == "libopus":
        trial.format = "flt"
    trial.open()
    sound = output.add_stream(encoder, rate=rate, layout=context.layout.name)
    damaged = []

    def write(packet):
        try:
            frames = packet.decode()
        except av.FFmpegError:
            if not damaged:
                log(f"{name} is damaged in places, which are left out")
            damaged.append(packet)
            return
        for frame in frames:
            output.mux(sound.encode(frame))
        if packet.dts is None:
            output.mux(sound.encode(None))

    return write
