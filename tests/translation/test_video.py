"""Films through `translate --video`, read back with PyAV alone."""

import re
import sys
from fractions import Fraction

import keras
import numpy as np
import pytest
from PIL import Image

from tf_cyclegan import translate
from tf_cyclegan.translation import video
from tf_cyclegan.translation.translator import save_translator

av = pytest.importorskip("av")
NTSC = Fraction(30000, 1001)


@pytest.fixture(scope="module")
def inverter(tmp_path_factory):
    """A SavedModel that turns every colour into its opposite."""
    inputs = keras.Input([None, None, 3])
    path = tmp_path_factory.mktemp("model") / "inverter"
    save_translator(keras.Model(inputs, keras.layers.Rescaling(-1.0)(inputs)), 1, path)
    return path


def picture(index, width, height):
    """Smooth colours that change with the index: uint8 `[H, W, 3]`."""
    y, x = np.mgrid[:height, :width]
    colours = [x * 255 / width, y * 255 / height, np.full_like(x, 40 + 10 * index)]
    return np.stack(colours, axis=-1).astype(np.uint8)


def write_film(path, width=64, height=48, count=12, times=None, codec="libx264", pixels="yuv420p",
               sound="aac", rotation=None, make=picture, **colours):  # fmt: skip
    """A film with a tone of 440 Hz; `times` are those of the frames, in units of 1/30000 s."""
    with av.open(str(path), "w") as film:
        stream = film.add_stream(codec, rate=NTSC, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = Fraction(1, 30000)
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        if rotation:
            stream.set_display_rotation(rotation)
        if sound:
            rate = 48000
            audio = film.add_stream(sound, rate=rate, layout="mono")
            tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate // 2) / rate).astype(np.float32)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(make(index, width, height), format="rgb24")
            if colours:
                frame = frame.reformat(format=pixels, dst_colorspace=colours["colorspace"])
            frame.pts = times[index] if times else 1001 * index
            frame.time_base, frame.duration = Fraction(1, 30000), 1001
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
        for start in range(0, len(tone), 960) if sound else ():
            samples = av.AudioFrame.from_ndarray(
                tone[None, start : start + 960], format="fltp", layout="mono"
            )
            samples.rate, samples.pts, samples.time_base = rate, start, Fraction(1, rate)
            film.mux(audio.encode(samples))
        if sound:
            film.mux(audio.encode(None))
    return path


def read_film(path):
    """Frames uint8 `[N, H, W, 3]`, their times in seconds, packets of sound, samples, facts."""
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        images = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        times = [frame.time for frame in frames]
        stream = film.streams.video[0]
        facts = {
            "rate": stream.average_rate,
            "seconds": film.duration / 1e6,
            "pixels": stream.codec_context.pix_fmt,
            "rotation": frames[0].rotation,
            "colorspace": int(stream.codec_context.colorspace),
        }
    packets, samples = [], np.zeros(0)
    with av.open(str(path)) as film:
        for packet in film.demux(*film.streams.audio) if film.streams.audio else ():
            packets.append(bytes(packet))
            for frame in packet.decode():
                samples = np.append(samples, frame.to_ndarray()[0])
    return images, times, packets, samples, facts


def run(command, inverter, source, target, *options):
    return command(
        translate.main, "--model", inverter, "--video", source, "--output", target, *options
    )


def difference(images, expected):
    return np.abs(images.astype(int) - expected.astype(int)).mean()


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov"])
def test_frames_times_and_sound(name, inverter, tmp_path, command):
    irregular = [1001 * (index + index // 5) for index in range(12)]  # two pauses
    source = write_film(tmp_path / "in.mp4", times=irregular)
    code, errors = run(command, inverter, source, tmp_path / name, "--batch-size", 5)
    assert code == 0 and "wrote 12 frames" in errors, errors
    images, times, packets, samples, facts = read_film(source)
    translated, new_times, new_packets, new_samples, new_facts = read_film(tmp_path / name)
    assert translated.shape == images.shape
    assert difference(translated, 255 - images) < 3
    assert packets == new_packets and len(packets) > 20
    # Matroska plays the silence before the first sample, which MP4 says to skip: all comes later.
    lead = len(new_samples) - len(samples)
    assert lead == (1024 if name == "out.mkv" else 0)
    np.testing.assert_array_equal(samples[2048:], new_samples[lead + 2048 :])
    np.testing.assert_allclose(new_times, np.add(times, lead / 48000), atol=1e-3)
    assert abs(new_facts["seconds"] - facts["seconds"]) < 0.03
    assert new_facts["pixels"] == "yuv420p"
    assert list(tmp_path.glob(".*")) == []


def test_a_constant_rate_stays(inverter, tmp_path, command):
    source = write_film(tmp_path / "in.mp4", sound=None)
    assert run(command, inverter, source, tmp_path / "out.mp4")[0] == 0
    *_, packets, _, facts = read_film(tmp_path / "out.mp4")
    assert facts["rate"] == NTSC and packets == []
    assert facts["seconds"] == pytest.approx(12 / NTSC, abs=1e-3)


def test_webm_gets_its_own_sound(inverter, tmp_path, command):
    source = write_film(tmp_path / "in.mp4")
    code, errors = run(command, inverter, source, tmp_path / "out.webm")
    assert code == 0 and "cannot hold aac sound: it is encoded anew, as opus" in errors
    images, _, _, samples, _ = read_film(source)
    translated, *_, new_samples, _ = read_film(tmp_path / "out.webm")
    assert difference(translated, 255 - images) < 4
    middle = new_samples[8000:16000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * 48000 / len(middle) == pytest.approx(440, abs=6)
    assert middle.std() == pytest.approx(samples[8000:16000].std(), rel=0.05)


def test_odd_sides_get_an_edge_more(inverter, tmp_path, command):
    source = write_film(tmp_path / "in.mkv", 63, 47, pixels="yuv444p")
    code, errors = run(command, inverter, source, tmp_path / "out.mp4")
    assert code == 0 and "63x47 is written as 64x48" in errors
    images, *_ = read_film(source)
    translated, *_ = read_film(tmp_path / "out.mp4")
    expected = np.pad(255 - images, [(0, 0), (0, 1), (0, 1), (0, 0)], mode="edge")
    assert translated.shape == expected.shape and difference(translated, expected) < 4


@pytest.mark.parametrize(("rotation", "turns"), [(90, 1), (-90, 3), (180, 2)])
def test_a_rotated_film_comes_out_upright(rotation, turns, inverter, tmp_path, command):
    source = write_film(tmp_path / "in.mp4", rotation=rotation, count=3)
    code, errors = run(command, inverter, source, tmp_path / "out.mp4", "--side-by-side")
    assert code == 0, errors
    images, *_, facts = read_film(source)
    pairs, *_, new_facts = read_film(tmp_path / "out.mp4")
    assert (abs(facts["rotation"]), new_facts["rotation"]) == (abs(rotation), 0)
    upright = np.rot90(images, turns, axes=(1, 2))
    expected = np.concatenate([upright, 255 - upright], axis=2)
    assert pairs.shape == expected.shape and difference(pairs, expected) < 4


@pytest.mark.parametrize(("tag", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114)])
def test_colours_keep_their_description(tag, kr, kb, inverter, tmp_path, command):
    """The stored luma of solid colours, by the formula of BT.709 and of BT.601."""
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]

    def solid(index, width, height):
        return np.full([height, width, 3], colours[index], np.uint8)

    source = write_film(tmp_path / "in.mp4", count=3, sound=None, make=solid, colorspace=tag)
    assert run(command, inverter, source, tmp_path / "out.mp4")[0] == 0
    assert read_film(tmp_path / "out.mp4")[-1]["colorspace"] == tag
    with av.open(str(tmp_path / "out.mp4")) as film:
        for frame, colour in zip(film.decode(video=0), colours, strict=True):
            red, green, blue = 255 - np.array(colour)
            luma = 16 + 219 / 255 * (kr * red + (1 - kr - kb) * green + kb * blue)
            assert abs(frame.to_ndarray()[10, 10] - luma) < 2.5


def write_bad(folder):
    (folder / "text.mp4").write_text("no film, but text\n" * 50)
    Image.new("RGB", (64, 48)).save(folder / "picture.png")
    whole = write_film(folder / "whole.mp4", count=3).read_bytes()
    (folder / "half.mp4").write_bytes(whole[: len(whole) // 2])
    with av.open(str(folder / "song.mp4"), "w") as song:
        audio = song.add_stream("aac", rate=48000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros([1, 1024], np.float32), "fltp", "mono")
        silence.rate = 48000
        song.mux(audio.encode(silence))
        song.mux(audio.encode(None))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--video text.mp4 --output out.mp4", "text.mp4 is not a film that can be read"),
        ("--video picture.png --output out.mp4", "picture.png is not a film that can be read"),
        ("--video half.mp4 --output out.mp4", "half.mp4 is not a film that can be read"),
        ("--video song.mp4 --output out.mp4", "song.mp4 has no video stream"),
        ("--video none.mp4 --output out.mp4", "there is no film none.mp4"),
        ("--video whole.mp4 --output out.xyz", "end in .mp4, .m4v, .mov, .mkv, .webm"),
        ("--video whole.mp4 --output folder", "end in .mp4"),
        ("--video whole.mp4 --output whole.mp4", "is the film itself"),
        ("--video whole.mp4 --output song.mp4", "song.mp4 exists; choose another --output"),
        ("--video whole.mp4 --output out.mp4 --batch-size 0", "--batch-size is 0"),
        ("--video whole.mp4 --output out.mp4 --skip-unreadable", "--skip-unreadable is for"),
        ("--video whole.mp4 --output out.mp4 --max-pixels 99", "--max-pixels is for --input"),
        ("--video whole.mp4 --input picture.png --output out.mp4", "give either --input"),
        ("--output out.mp4", "give either --input"),
        ("--video whole.mp4 --output out.mp4 --alpha white", "--alpha is for --input"),
        ("--video whole.mp4 --output out.mp4 --suffix png", "--suffix is for --input"),
    ],
)
def test_mistakes(options, words, inverter, tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_bad(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, errors = command(translate.main, "--model", inverter, *options.split())
    assert code == 2 and words in re.sub(r"\s+", " ", errors), errors
    assert sorted(tmp_path.iterdir()) == before


def test_without_pyav(inverter, tmp_path, command, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    code, errors = run(command, inverter, tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert code == 2 and "pip install 'av>=" in errors


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_nothing_is_left_of_a_film_that_was_not_finished(error, tmp_path):
    source = write_film(tmp_path / "in.mp4")
    calls = []

    def stops(images):
        calls.append(len(images))
        if len(calls) == 3:
            raise error
        return images

    with pytest.raises(error):
        video.translate_video(stops, source, tmp_path / "out.mp4", batch_size=2)
    assert calls == [2, 2, 2]
    assert list(tmp_path.iterdir()) == [source]


def test_frames_are_translated_as_they_come(tmp_path):
    """No more than a batch is read ahead, so that memory does not grow with the film."""
    source = write_film(tmp_path / "in.mp4", count=12, sound=None)
    read, decoded = [], []
    events = video._events

    def counting(*arguments):
        for event in events(*arguments):
            decoded.append(event)
            yield event

    def translate_(images):
        read.append(len(decoded))
        return images

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(video, "_events", counting)
        video.translate_video(translate_, source, tmp_path / "out.mp4", batch_size=3)
    assert read == [3, 6, 9, 12]
