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
from tf_cyclegan.translation.film_colours import to_bt709
from tf_cyclegan.translation.smoothing import Smoothing
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


def greys(codes):
    """Frames of one grey each, of codes from 0 to 1."""

    def solid(index, width, height):
        return np.full([height, width, 3], round(255 * codes[index]), np.uint8)

    return solid


def pq(light):
    """SMPTE ST 2084: cd/m2 to a code."""
    y = (np.array(light) / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(scene):
    """BT.2100: linear light of the scene, 1 the most, to a code; below 1/12."""
    return np.sqrt(3 * np.array(scene))


# Up to 92 cd/m2 nothing is compressed; 203 of them are the white of BT.709, which a display shows with
# a gamma of 2.4. The display for HLG has 1000 cd/m2 and the gamma 1.2.
@pytest.mark.parametrize(
    ("transfer", "codes", "light"),
    [
        (16, pq([5, 50, 90, 1000]), [5, 50, 90, 203]),
        (
            18,
            [*hlg([0.01, 0.05, 1 / 12]), 1],
            [*(1000 * np.array([0.01, 0.05, 1 / 12]) ** 1.2), 203],
        ),
    ],
)
def test_hdr_becomes_bt709(transfer, codes, light, inverter, tmp_path, command):
    source = write_film(
        *(tmp_path / "in.mkv", 64, 48, 4),
        pixels="yuv420p10le",
        sound=None,
        make=greys(codes),
        **{"colorspace": 9, "color_primaries": 9, "color_trc": transfer},
    )
    code, errors = run(command, inverter, source, tmp_path / "out.mp4")
    assert code == 0 and "the film is HDR" in errors, errors
    images, *_ = read_film(tmp_path / "out.mp4")
    expected = 255 - 255 * (np.array(light) / 203) ** (1 / 2.4)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), expected, atol=2.5)
    with av.open(str(tmp_path / "out.mp4")) as film:
        context = film.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc) == (1, 1, 1)
        assert context.pix_fmt == "yuv420p"


def test_the_wide_colours_of_bt2020_become_bt709():
    """Pure red of BT.709 has these parts of BT.2020's primaries (BT.2087, annex 2)."""
    red = np.array([0.6274, 0.0691, 0.0164]) ** (1 / 2.4)
    frame = np.round(65535 * red).astype(np.uint16)[None, None]
    np.testing.assert_allclose(to_bt709(frame, 14), [[[255, 0, 0]]], atol=6)
    # In HDR the hue stays where light is compressed.
    lights = np.array([1, 4])[:, None] * [40, 20, 10]
    frame = np.round(65535 * pq(lights)).astype(np.uint16)[None]
    dim, bright = to_bt709(frame, 16)[0].astype(float) ** 2.4
    np.testing.assert_allclose(bright / bright[0], dim / dim[0], atol=0.02)


def test_sound_that_nobody_knows_is_left_out(inverter, tmp_path, command):
    """Two tracks, of which the second gets a name that no decoder has, as telephones write one."""
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as film:
        stream = film.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sounds = [film.add_stream("aac", rate=48000, layout="mono") for _ in range(2)]
        for index in range(4):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index, 64, 48), "rgb24")))
        film.mux(stream.encode(None))
        for sound in sounds:
            for index in range(8):
                frame = av.AudioFrame.from_ndarray(np.zeros([1, 1024], np.float32), "fltp", "mono")
                frame.sample_rate, frame.pts = 48000, 1024 * index
                film.mux(sound.encode(frame))
            film.mux(sound.encode(None))
    with av.open(str(source)) as film:
        first = [bytes(packet) for packet in film.demux(audio=0)]
    data = bytearray(source.read_bytes())
    kind = data.rindex(b"mp4a")
    description = data.index(b"esds", kind)
    data[kind : kind + 4], data[description : description + 4] = b"apac", b"dapa"
    source.write_bytes(data)
    code, errors = run(command, inverter, source, tmp_path / "out.mp4")
    assert code == 0 and "sound track 2 (unknown) is left out: nothing here" in errors, errors
    images, _, packets, *_ = read_film(tmp_path / "out.mp4")
    assert len(images) == 4 and packets == first


def test_tracks_of_data_are_left_out(inverter, tmp_path, command):
    """As action cameras write where they were."""
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as film:
        stream = film.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        places = film.add_data_stream("bin_data")
        for index in range(4):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index, 64, 48), "rgb24")))
            packet = av.Packet(b"52.5 N 13.4 E")
            packet.stream, packet.pts, packet.dts, packet.duration = places, index, index, 1
            packet.time_base = Fraction(1, 30)
            film.mux(packet)
        film.mux(stream.encode(None))
    code, errors = run(command, inverter, source, tmp_path / "out.mp4")
    assert code == 0, errors
    assert "tracks that are left out: 1 of data" in errors
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert [stream.type for stream in film.streams] == ["video"]
        assert sum(1 for _ in film.decode(video=0)) == 4


@pytest.mark.parametrize("name", ["in.mkv", "in.mp4"])
def test_a_film_cut_short_is_translated_as_far_as_it_goes(name, inverter, tmp_path, command):
    whole = write_film(tmp_path / f"whole{name}", 96, 64, 24, sound=None, make=noise)
    if name == "in.mp4":  # the table of contents in front, as what is streamed has it
        with (
            av.open(str(whole)) as film,
            av.open(str(tmp_path / "front.mp4"), "w", options={"movflags": "+faststart"}) as front,
        ):
            copy = front.add_stream_from_template(film.streams.video[0])
            for packet in film.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copy
                    front.mux(packet)
        whole = tmp_path / "front.mp4"
    content = whole.read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    code, errors = run(command, inverter, tmp_path / name, tmp_path / "out.mp4")
    assert code == 0, errors
    images, *_ = read_film(whole)
    translated, *_ = read_film(tmp_path / "out.mp4")
    assert 8 < len(translated) < 20
    if name == "in.mp4":
        assert f"was cut short: {len(translated)} of its 24 frames are there" in errors
    for image, result in zip(images, translated, strict=False):
        assert difference(result, 255 - image) < 12  # every one is whole


def noise(index, width, height):
    return np.random.default_rng(index).integers(0, 256, [height, width, 3], np.uint8)


def test_smoothing_damps_flicker_where_nothing_moves(tmp_path):
    """A still scene with a square that moves, and a translation that flickers everywhere."""
    rng = np.random.default_rng(0)
    still = picture(0, 64, 48)
    frames, translations = [], []
    for index in range(30):
        frame = still.copy()
        frame[10:20, 2 * index : 2 * index + 10] = 255
        frames.append(frame)
        flicker = rng.normal(0, 5, frame.shape)
        translations.append(np.clip(frame * 0.5 + 60 + flicker, 0, 255).astype(np.uint8))
    smoothing = Smoothing(0.8)
    smoothed = [smoothing(*pair) for pair in zip(frames, translations, strict=True)]

    def temporal(images):
        """The mean difference between frames, where the scene is still."""
        return np.abs(np.diff(np.stack(images[10:])[:, 30:].astype(float), axis=0)).mean()

    assert temporal(smoothed) < 0.4 * temporal(translations)
    bias = np.stack(smoothed[10:])[:, 30:].mean() - np.stack(translations[10:])[:, 30:].mean()
    assert abs(bias) < 0.1
    # What moves is as it was translated: no trail.
    for index, (result, translated) in enumerate(zip(smoothed, translations, strict=True)):
        moved = (slice(10, 20), slice(2 * index, 2 * index + 2))
        assert np.abs(result[moved].astype(float) - translated[moved]).mean() < 1.0
    # Nor does anything of the scene before a cut remain.
    after = smoothing(255 - frames[-1], translations[0])
    np.testing.assert_array_equal(after, translations[0])


def test_smooth_is_an_option(inverter, tmp_path, command):
    source = write_film(tmp_path / "in.mp4", count=3, sound=None)
    assert run(command, inverter, source, tmp_path / "out.mp4", "--smooth", 0.5)[0] == 0
    assert difference(read_film(tmp_path / "out.mp4")[0], 255 - read_film(source)[0]) < 10
    code, errors = run(command, inverter, source, tmp_path / "more.mp4", "--smooth", 1)
    assert code == 2 and "--smooth is 1; it must be from 0 to below 1" in errors


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
