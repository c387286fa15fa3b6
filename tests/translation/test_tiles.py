"""Large pictures in tiles, beside the same pictures at once."""

import itertools

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image

import tf_cyclegan as cg
from tf_cyclegan import translate
from tf_cyclegan.methods.dropping import DroppingTranslator
from tf_cyclegan.models import resnet_generator, unet_generator
from tf_cyclegan.models.dropout import BatchDropout
from tf_cyclegan.models.statistics import Pooled, normalising_by
from tf_cyclegan.translation import pictures, tiles
from tf_cyclegan.translation.area import Area
from tf_cyclegan.translation.memory import parse_memory
from tf_cyclegan.translation.memory_of_network import needs_of_function, needs_of_network
from tf_cyclegan.translation.pictures import PictureTranslator
from tf_cyclegan.translation.saved_network import can_be_rebuilt, read_network
from tf_cyclegan.translation.targets import Job
from tf_cyclegan.translation.tiles import Tiled
from tf_cyclegan.translation.translate_files import Options, translate_files
from tf_cyclegan.translation.translator import Translator, save_translator

SIDE = 96


@pytest.fixture(scope="module")
def network():
    """A residual generator of one block; a pixel depends on those up to 20 pixels away."""
    network = resnet_generator(1, 4, affine=True)
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(random.normal(0.0, 0.2, weight.shape) + ("scale" in weight.path))
    return network


@pytest.fixture(scope="module")
def image():
    """A scene of which no two parts look alike: dark to bright, smooth to rough. `[150, 230, 3]`."""
    y, x = np.mgrid[:150, :230] / [[[150]], [[230]]]
    # Detail is some pixels wide, as that of pictures is: a thumbnail knows nothing of finer noise.
    coarse = Image.fromarray(np.random.default_rng(1).integers(0, 256, [38, 58, 3], np.uint8))
    random = np.asarray(coarse.resize((230, 150), Image.Resampling.BICUBIC)) / 127.5 - 1
    scene = np.stack([x, y, x * y], axis=-1) + 0.5 * (x**2)[..., None] * random
    return np.clip(255 * scene, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def area(image):
    def read(top, left, height, width):
        part = image[top : top + height, left : left + width]
        assert part.shape[:2] == (height, width)  # nothing outside is asked for
        return part / np.float32(127.5) - 1

    return Area(*image.shape[:2], read)


@pytest.fixture(scope="module")
def at_once(network, image):
    padded = np.pad(image, [(0, 2), (0, 2), (0, 0)], mode="symmetric") / np.float32(127.5) - 1
    return np.asarray(network(padded[None]))[0, :150, :230]


@pytest.fixture(scope="module")
def tiled(network):
    return Tiled(network, 4, SIDE)


def test_statistics_are_those_of_all_images():
    random = np.random.default_rng(0)
    layer = cg.models.InstanceNormalization(affine=False)
    images, others = (random.normal(3, 2, [2, 4, 5, 3]).astype(np.float32) for _ in "ab")
    with normalising_by(Pooled()) as statistics:
        normal = layer(tf.constant(images))
    np.testing.assert_allclose(np.mean(normal, (0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(normal, (0, 1, 2)), 1, atol=1e-4)
    mean, square = statistics.values[0]
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(square, (images**2).mean((0, 1, 2)), rtol=1e-5)
    with normalising_by(tiles.Given(statistics.values)):
        given = layer(tf.constant(others))
    deviation = np.sqrt(images.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(given, (others - images.mean((0, 1, 2))) / deviation, atol=1e-4)


def test_a_thumbnail_is_the_means_of_what_falls_into_its_pixels():
    image = np.random.default_rng(0).normal(size=[60, 90, 2]).astype(np.float32)
    area = Area(60, 90, lambda top, left, h, w: image[top : top + h, left : left + w])
    small = Tiled(keras.Sequential(), 2, 30)._thumbnail(area)
    np.testing.assert_allclose(small, image.reshape(20, 3, 30, 3, 2).mean((1, 3)), atol=1e-6)
    small = Tiled(keras.Sequential(), 4, 32)._thumbnail(area)  # 21.3 x 32 pixels, and its mirror
    assert small.shape == (24, 32, 2)
    np.testing.assert_allclose(small[0, 0], image[:2, :2].mean((0, 1)), atol=1e-6)
    np.testing.assert_array_equal(small[21:], small[18:21][::-1])
    same = Tiled(keras.Sequential(), 2, 96)._thumbnail(area)
    np.testing.assert_array_equal(same, image)


def test_with_the_pictures_own_statistics_tiles_are_the_picture(
    network, area, at_once, tiled, monkeypatch
):
    whole = np.pad(area.read(0, 0, 150, 230), [(0, 2), (0, 2), (0, 0)], mode="symmetric")
    with normalising_by(Pooled()) as statistics:
        network(whole[None])
    monkeypatch.setattr(tiled, "statistics", lambda *_: statistics.values)
    result = np.concatenate(list(tiled.rows(area)))
    assert result.shape == at_once.shape
    difference = np.abs(result - at_once)
    assert difference.max() < 0.3  # where tiles meet, they do not know all that lies beyond
    assert np.median(difference) < 2e-3 and difference.mean() < 5e-3
    # What is in one tile alone is the same to rounding.
    assert difference[:28, :28].max() < 1e-4


def test_tiles_come_close_and_seams_do_not_show(area, at_once, tiled, monkeypatch):
    advanced = []
    result = np.concatenate(list(tiled.rows(area, lambda: advanced.append(1))))
    assert len(advanced) == tiled.work(area)
    error = np.abs(result - at_once).mean()
    # Each tile by statistics of its own, as cutting a picture up gives it.
    monkeypatch.setattr(tiles, "Given", lambda _: None)
    alone = Tiled(tiled._network, 4, SIDE)
    monkeypatch.setattr(alone, "statistics", lambda *_: [])
    apart = np.abs(np.concatenate(list(alone.rows(area))) - at_once).mean()
    assert error < 0.5 * apart


def test_tiles_are_as_small_as_their_number_allows():
    """Three of 1536 would cover 4480 pixels of 4096."""
    tiled = Tiled(keras.Sequential(), 4, 1536)
    for size, tile, count in ((4096, 1408, 3), (1536, 1536, 1), (1537, 804, 2), (1500, 1500, 1)):
        assert tiled._tile(Area(size, size, None)) == (tile, tile)
        assert len(tiles._starts(size, tile, 4)) == count


def test_tiles_cover_and_their_weights_are_one():
    for size, tile, multiple in ((150, 96, 4), (97, 96, 32), (1000, 128, 8), (90, 96, 4)):
        starts = tiles._starts(size, tile, multiple)
        assert starts[0] == 0 and starts[-1] + tile >= min(size, tile)
        assert starts[-1] + tile < max(size, tile) + multiple
        assert all(
            b - a <= tile - 2 * tiles.MARGIN + multiple for a, b in itertools.pairwise(starts)
        )
        assert not any(start % multiple for start in starts)
        total = np.zeros(starts[-1] + tile)
        for start, weights in zip(starts, tiles._weights(starts, tile), strict=True):
            total[start : start + tile] += weights
        np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_u_net_in_tiles_comes_close(area, image, monkeypatch):
    """Its innermost layers see all of a tile, and never all of the picture."""
    network = unet_generator(4, levels=3, dropout=0.0)
    padded = np.pad(image, [(0, 2), (0, 2), (0, 0)], mode="symmetric") / np.float32(127.5) - 1
    with normalising_by(Pooled()) as whole:
        at_once = np.asarray(network(padded[None]))[0, :150, :230]
    tiled = Tiled(network, 8, SIDE)
    statistics = {"thumbnail": tiled.statistics(area), "whole": whole.values, "tile": []}

    def error(name):
        monkeypatch.setattr(tiled, "statistics", lambda *_: statistics[name])
        return np.abs(np.concatenate(list(tiled.rows(area))) - at_once).mean()

    errors = {name: error(name) for name in ("thumbnail", "whole")}
    monkeypatch.setattr(tiles, "Given", lambda _: None)
    tiled = Tiled(network, 8, SIDE)
    errors["tile"] = error("tile")
    assert errors["thumbnail"] < 0.5 * errors["tile"] and errors["whole"] < 0.05 * errors["tile"]


@pytest.fixture(scope="module")
def dropping():
    """A translator of dropout at a half and a quarter of the size, in which no pixel knows others."""
    inputs = x = keras.Input([None, None, 3])
    for seed in (1, 2):
        x = keras.layers.AveragePooling2D(2)(x)
        x = BatchDropout(0.5, seed=seed)(x)
    return DroppingTranslator(keras.Model(inputs, keras.layers.UpSampling2D(4)(x)))


def test_tiles_have_the_dropout_of_the_whole_picture(dropping, area, image):
    padded = np.pad(image, [(0, 2), (0, 2), (0, 0)], mode="symmetric") / np.float32(127.5) - 1
    at_once = np.asarray(dropping(padded[None]))[0, :150, :230]
    assert 0.5 < (at_once == 0).mean() < 0.6
    in_tiles = np.concatenate(list(Tiled(dropping, 4, SIDE).rows(area)))
    np.testing.assert_allclose(in_tiles, at_once, atol=1e-5)


def test_a_saved_model_keeps_the_dropout_that_stays(dropping, image, tmp_path):
    save_translator(dropping, 4, tmp_path / "model")
    rebuilt, multiple = read_network(tmp_path / "model", [])
    assert multiple == 4 and isinstance(rebuilt, DroppingTranslator)
    served = Translator(dropping, 4).translate_images(image[None])["images"]
    there = cg.load_translator(tmp_path / "model")
    np.testing.assert_array_equal(there(image), served[0])
    assert (np.asarray(served) == 128).mean() > 0.5


def test_the_masks_of_the_whole_picture_count(dropping):
    drawn = 3 / 4  # numbers a pixel of the picture in the larger mask: 3 channels at half the size
    needs = needs_of_network(dropping, 4)
    assert needs.by_pixel_of_whole == pytest.approx(4 * 4 * drawn)
    translator = PictureTranslator(Translator(dropping, 4), network=dropping, size_multiple=4)
    small, large = (Area(20, width, None) for width in (30_000, 40_000))
    difference = translator._with_band(256, large) - translator._with_band(256, small)
    expected = 4 * 4 * drawn * 20 * 10_000 + pictures.BAND_BYTES * 256 * 10_000
    assert difference == pytest.approx(expected)


def test_what_cannot_be_tiled_is_translated_at_once_or_not_at_all(
    network, image, at_once, tmp_path
):
    """A SavedModel that does not say what it is, as those of earlier versions."""
    save_translator(network, 4, tmp_path / "model")
    model = tf.saved_model.load(str(tmp_path / "model"))
    known = needs_of_network(network, 4).by_pixel
    needed = needs_of_function(model.signatures["serving_default"]).by_pixel
    assert known < needed < 1.5 * known  # as much as the network within it, and what its doors take

    def of(pixels):
        taken = psutil.Process().memory_info().rss
        memory = int(taken + pictures.TRACES + needed * pixels)
        return PictureTranslator(model, memory=memory)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "CERTAINLY_ENOUGH", 10**9)
        assert np.abs(of(2 * 150 * 230)(image) - np.round((at_once + 1) * 127.5)).max() <= 1
        small = of(150 * 200)
        with pytest.raises(
            cg.UserError, match=r"of 230x150 needs .* MB .* --max-side.*exported anew"
        ):
            small(image)
        assert small(np.stack([image[:100]] * 2)).shape == (2, 100, 230, 3)  # one after the other
        for name, height in {"small": 40, "large": 150}.items():
            Image.fromarray(image[:height]).save(tmp_path / f"{name}.tif")
        jobs = [Job(path, path.with_suffix(".out.tif")) for path in tmp_path.glob("*.tif")]
        (failure,) = translate_files(small, jobs, Options(10**6))
    assert failure.job.source.name == "large.tif" and "230x150 needs" in failure.reason
    assert [path.name for path in tmp_path.glob("*.out.tif")] == ["small.out.tif"]


def test_a_search_takes_little_by_pixel():
    """CoGAN's has a loop, and its ends alone are as large as the picture: uint8 and float32."""

    def search(images):
        found = tf.image.resize(images, [8, 8])
        found = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, 0.9 * x), (0, found))[1]
        return tf.image.resize(found, tf.shape(images)[1:3])

    door = Translator(search, 1).translate_images.get_concrete_function()
    assert 15 <= needs_of_function(door).by_pixel <= 45  # one of the ends, and not more than both


def test_memory_is_counted(network):
    def bytes_per_pixel(outputs):
        return needs_of_network(keras.Model(inputs, outputs), 1).by_pixel

    inputs = keras.Input([None, None, 3])
    one = keras.layers.Conv2D(8, 1, use_bias=False)(inputs)
    assert bytes_per_pixel(one) == 4 * (3 + 8)
    two = keras.layers.Conv2D(16, 1, use_bias=False)(one)
    kept = keras.layers.Concatenate()([one, two])  # 8 channels wait for the others
    assert bytes_per_pixel(two) == 4 * (8 + 16)
    assert bytes_per_pixel(kept) == pytest.approx(4 * (8 + 16 + 24))
    wide, narrow = (needs_of_network(resnet_generator(1, width), 4) for width in (16, 8))
    assert 1.8 < wide.by_pixel / narrow.by_pixel < 2.2
    assert wide.by_pixel_of_whole == 0


@pytest.mark.parametrize(("text", "bytes_"), [("2GB", 2e9), ("1.5 gb", 1.5e9), ("500MB", 5e8)])
def test_amounts_of_memory(text, bytes_):
    assert parse_memory(text) == bytes_


@pytest.mark.parametrize("text", ["2", "GB", "-1GB", "2TB", "nanGB", "infGB", ""])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(cg.UserError, match="it takes an amount such as 2GB"):
        parse_memory(text)


def test_a_saved_model_is_tiled_where_memory_is_short(
    network, image, at_once, tmp_path, command, monkeypatch
):
    """By the network within it."""
    monkeypatch.setattr(pictures, "LARGEST_TILE", SIDE)
    monkeypatch.setattr(pictures, "SMALLEST_TILE", SIDE)
    monkeypatch.setattr(pictures, "CERTAINLY_ENOUGH", 10**9)
    monkeypatch.setattr(pictures, "TRACES", 0)
    save_translator(network, 4, tmp_path / "model")
    Image.fromarray(image).save(tmp_path / "in.png")
    taken = psutil.Process().memory_info().rss
    monkeypatch.setattr(pictures.psutil.Process, "memory_info", lambda _: FakeMemory)
    monkeypatch.setattr(pictures, "free_bytes", lambda: 10**12)
    FakeMemory.rss = 10**9
    needed = needs_of_network(network, 4).by_pixel * 150 * 230
    tile = needs_of_network(network, 4).by_pixel * SIDE**2 + pictures.BAND_BYTES * SIDE * 230
    tile += 2 * image.nbytes
    assert tile < needed and taken
    results = {}
    for name, beside in {"tiled": (tile + needed) / 2, "whole": 1.1 * needed}.items():
        memory = f"{(1e9 + beside) / 1e6}MB"
        options = ("--input", tmp_path / "in.png", "--output", tmp_path / f"{name}.png")
        code, errors = command(
            translate.main, "--model", tmp_path / "model", *options, "--memory", memory
        )
        assert code == 0, errors
        results[name] = np.asarray(Image.open(tmp_path / f"{name}.png")).astype(int)
    expected = np.round((at_once + 1) * 127.5)
    assert np.abs(results["whole"] - expected).max() <= 1
    assert (
        0 < np.abs(results["tiled"] - expected).mean() < 20
    )  # half of what each tile by itself is off
    small = cg.load_translator(tmp_path / "model", memory=f"{(1e9 + 0.9 * tile) / 1e6}MB")
    with pytest.raises(cg.UserError, match=r"150 needs .* more with --memory, or scale"):
        small(image)
    file = tmp_path / "model" / "assets.extra" / "network.json"
    file.write_text(file.read_text()[:-100])
    with pytest.raises(cg.UserError, match=r"is damaged .* export the model again"):
        cg.load_translator(tmp_path / "model")


class FakeMemory:
    rss = 0


def test_networks_of_other_layers_are_not_described(network):
    class Doubling(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    inputs = keras.Input([None, None, 3])
    assert can_be_rebuilt(network)
    for layer in (Doubling(), keras.layers.Lambda(lambda images: 2 * images)):
        inner = keras.Sequential([layer])
        assert not can_be_rebuilt(keras.Model(inputs, inner(inputs)))


def test_several_large_pictures(network, image, monkeypatch):
    translate_ = PictureTranslator(Translator(network, 4), network=network, size_multiple=4)
    monkeypatch.setattr(translate_, "is_large", lambda height, width, count=1: True)
    monkeypatch.setattr(translate_, "_side", lambda area, budget: SIDE)
    told = []
    both = translate_(np.stack([image, image]), lambda *counts: told.append(counts))
    np.testing.assert_array_equal(both[0], both[1])
    assert told[0] == (1, told[-1][0]) and told[-1][0] == told[-1][1]
