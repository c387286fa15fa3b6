import dataclasses
from collections import Counter

import numpy as np
import pytest
from conftest import write_images
from PIL import Image

from tf_cyclegan.data import pipeline, scaled
from tf_cyclegan.data.pipeline import load_dataset
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config


@pytest.fixture
def config(image_folder):
    return Config(
        dataset=str(image_folder), image_size=32, load_size=36, generator="resnet6", batch_size=2
    )


def batches(data, start, stop):
    return [(x.numpy(), y.numpy()) for x, y in data.train_batches(start, stop)]


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_batches_are_what_the_networks_take(config):
    (x, y), *_ = batches(load_dataset(config), 0, 1)
    assert x.shape == y.shape == (2, 32, 32, 3)
    assert x.dtype == np.float32
    assert -1 <= min(x.min(), y.min()) < 0 < max(x.max(), y.max()) <= 1


def test_jitter_cuts_and_mirrors_by_its_seeds(config):
    rows, columns = np.mgrid[:36, :40]
    image = np.stack([rows, columns], axis=-1)
    mirrored, corners = 0, set()
    for number in range(40):
        cut = pipeline.jitter(image, config, [0, number], [1, number]).numpy()
        np.testing.assert_array_equal(cut, pipeline.jitter(image, config, [0, number], [1, number]))
        top, left = cut.min(axis=(0, 1))
        expected = image[top : top + 32, left : left + 32]
        is_mirrored = cut[0, 0, 1] > cut[0, -1, 1]
        np.testing.assert_array_equal(cut, expected[:, ::-1] if is_mirrored else expected)
        mirrored += is_mirrored
        corners.add((top, left))
    assert 10 < mirrored < 30 and len(corners) > 20
    straight = dataclasses.replace(config, mirror=False)
    for number in range(10):
        cut = pipeline.jitter(image, straight, [0, number], [1, number]).numpy()
        assert cut[0, 0, 1] < cut[0, -1, 1]


def test_the_stream_starts_anywhere(config):
    data = load_dataset(config)
    everything = batches(data, 0, 12)
    assert_same(everything[5:], batches(load_dataset(config), 5, 12))


def test_shares_of_a_batch_make_up_the_batch(config):
    data = load_dataset(dataclasses.replace(config, batch_size=4))
    # Two workers of two replicas each: every element is what one replica gets.
    shares = [
        list(data.train_batches(3, 6, share=share, shares=2, parts=2).as_numpy_iterator())
        for share in range(2)
    ]
    for step, batch in enumerate(batches(data, 3, 6)):
        for domain in range(2):
            parts = [share[2 * step + part][domain] for share in shares for part in range(2)]
            assert [len(part) for part in parts] == [1] * 4
            np.testing.assert_array_equal(np.concatenate(parts), batch[domain])


def test_a_worker_reads_no_images_but_its_own(config, monkeypatch):
    data = load_dataset(dataclasses.replace(config, batch_size=2))
    read = []
    get = pipeline.ScaledImages.__getitem__
    monkeypatch.setattr(
        pipeline.ScaledImages, "__getitem__", lambda self, i: read.append(i) or get(self, i)
    )
    assert len(list(data.train_batches(0, 2, share=1, shares=2))) == 2
    assert len(read) == 2 * 2


def test_the_seed_decides(config):
    one, same, other = (
        batches(load_dataset(dataclasses.replace(config, seed=seed)), 0, 4) for seed in (1, 1, 2)
    )
    assert_same(one, same)
    assert not np.array_equal(one[0][0], other[0][0])


def test_an_epoch_shows_the_larger_domain_once_and_the_other_again(tmp_path):
    # Pictures of one colour each, so that a crop tells which picture it is of.
    for folder, count in (("trainA", 3), ("trainB", 7)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            Image.new("RGB", (32, 32), (30 * index, 0, 0)).save(tmp_path / folder / f"{index}.png")
    config = Config(dataset=str(tmp_path), image_size=32, load_size=32, generator="resnet6")
    data = load_dataset(config)
    assert data.steps_per_epoch == 7
    shown = [
        tuple(round((image[0, 0, 0, 0] + 1) * 127.5) // 30 for image in pair)
        for pair in batches(data, 0, 14)
    ]
    first, second = shown[:7], shown[7:]
    for epoch in (first, second):
        assert sorted(y for _, y in epoch) == list(range(7))
        laps = [[x for x, _ in epoch[start : start + 3]] for start in (0, 3)]
        assert all(sorted(lap) == [0, 1, 2] for lap in laps)
    assert [y for _, y in first] != [y for _, y in second]


def test_crops_and_mirrors_are_drawn_evenly(tmp_path):
    # One picture whose pixel values are their own column and row.
    pixels = np.zeros([35, 35, 3], np.uint8)
    pixels[..., 0] = np.arange(35)
    pixels[..., 1] = np.arange(35)[:, None]
    for folder in ("trainA", "trainB"):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "0.png")
    config = Config(dataset=str(tmp_path), image_size=32, load_size=35, generator="resnet6")
    images = [np.round((x[0] + 1) * 127.5) for x, _ in batches(load_dataset(config), 0, 800)]
    seen = Counter()
    for image in images:
        mirrored = image[0, 0, 0] > image[0, -1, 0]
        upright = image[:, ::-1] if mirrored else image
        left, top = int(upright[0, 0, 0]), int(upright[0, 0, 1])
        np.testing.assert_array_equal(upright, pixels[top : top + 32, left : left + 32])
        seen[left, top, bool(mirrored)] += 1
    # 4 x 4 places, mirrored or not: 25 times each, give or take five standard deviations.
    assert len(seen) == 32
    assert all(abs(count - 25) < 5 * 25**0.5 for count in seen.values())


def test_mirroring_can_be_turned_off(config):
    data = load_dataset(dataclasses.replace(config, mirror=False, load_size=32))
    pictures = [data.train_x[i] for i in range(len(data.train_x))]
    for x, _ in batches(data, 0, 6):
        for image in x:
            assert any(np.array_equal(image, pipeline.normalise(p)) for p in pictures)


def test_small_sets_are_decoded_once_and_large_ones_give_the_same(config, monkeypatch):
    cached = batches(load_dataset(config), 0, 3)
    monkeypatch.setattr(scaled, "CACHE_BYTES", 0)
    assert_same(cached, batches(load_dataset(config), 0, 3))


def test_test_images_are_scaled_not_cropped(config):
    x, y = load_dataset(config).test_images(8)
    assert x.shape == y.shape == (2, 32, 32, 3)


@pytest.mark.parametrize("cache_bytes", [0, 2**30])
def test_unreadable_images_are_named_or_left_out(tmp_path, config, monkeypatch, cache_bytes):
    monkeypatch.setattr(scaled, "CACHE_BYTES", cache_bytes)
    write_images(tmp_path / "trainA", 3, suffix=".jpg", size=(200, 200))
    write_images(tmp_path / "trainB", 3)
    broken = tmp_path / "trainA" / "001.jpg"
    broken.write_bytes(broken.read_bytes()[:-500])
    config = dataclasses.replace(config, dataset=str(tmp_path), batch_size=1)
    with pytest.raises(UserError, match=r"1 image cannot be read.*trainA/001\.jpg.*truncated"):
        load_dataset(config)
    data = load_dataset(dataclasses.replace(config, skip_unreadable=True))
    assert len(data.train_x) == 2
    assert data.train_x.skipped == [str(broken)]
    assert len(batches(data, 0, 6)) == 6


def test_images_of_too_many_pixels_count_as_unreadable(tmp_path, config):
    write_images(tmp_path / "trainA", 3)
    write_images(tmp_path / "trainB", 3, size=(40, 30))
    write_images(tmp_path / "testA", 1, size=(400, 300))
    config = dataclasses.replace(config, dataset=str(tmp_path), batch_size=1, max_pixels=1500)
    with pytest.raises(UserError, match=r"trainA/000\.png \(40x40 are 1,600 pixels, more than"):
        load_dataset(config)
    data = load_dataset(dataclasses.replace(config, max_pixels=1600))
    assert len(data.train_x) == 3
    with pytest.raises(UserError, match=r"testA/000\.png \(400x300 are 120,000 pixels, more than"):
        data.test_images(1)


def test_a_batch_larger_than_the_data_is_named(config):
    with pytest.raises(UserError, match=r"--batch-size 8 is larger .* trainA has 5 .*trainB 7"):
        load_dataset(dataclasses.replace(config, batch_size=8))


@pytest.mark.parametrize("fit", ["crop", "patches"])
def test_training_images_are_cut_at_random_and_tests_in_the_middle(fit, tmp_path):
    """Columns and rows in the pixels say where a cut is from."""
    rows, columns = np.mgrid[:48, :80]
    picture = np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)
    for split in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / split).mkdir()
        Image.fromarray(picture).save(tmp_path / split / "a.png")
    config = Config(
        dataset=str(tmp_path),
        image_size=32,
        load_size=48,
        generator="resnet6",
        fit=fit,
        mirror=False,
    )
    data = load_dataset(config)
    places = set()
    for pair in batches(data, 0, 24):
        for batch in pair:
            image = np.round((batch[0] + 1) * 127.5).astype(np.uint8)
            top, left = image[0, 0, :2]
            np.testing.assert_array_equal(image, picture[top : top + 32, left : left + 32])
            places.add((top, left))
    assert len(places) > 30 and max(left for _, left in places) > 40
    assert_same(batches(data, 5, 8), batches(load_dataset(config), 5, 8))
    test = np.round((data.test_images(1)[0][0] + 1) * 127.5)
    if fit == "patches":
        np.testing.assert_array_equal(test, picture[8:40, 24:56])
    else:
        whole = np.asarray(Image.fromarray(picture).resize((53, 32), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(test, whole[:, 11:43])


def test_pairs_are_cut_at_one_place(paired_folder):
    config = Config(
        dataset=str(paired_folder), image_size=32, load_size=36, generator="resnet6", fit="crop"
    )
    for x, y in batches(load_dataset(config, paired=True), 0, 4):
        np.testing.assert_allclose(x, -y, atol=1e-6)
