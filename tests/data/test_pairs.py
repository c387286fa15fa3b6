"""Pairs by their names, and by the half of a file that they are."""

import dataclasses
import zipfile

import numpy as np
import pytest
from conftest import write_images
from PIL import Image

from tf_cyclegan.data.pairs import NO_PAIR, find_pairs, short_names
from tf_cyclegan.data.pipeline import load_dataset
from tf_cyclegan.data.sources import open_source
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/d/testA/1.png", "/d/testA/2.jpg"], ["1", "2"]),
        (["/d/testA/in/1.png"], ["in/1"]),
        (["/d.zip/set/testB/1.png", "/d.zip/set/testB/in/1.png"], ["1", "in/1"]),
        (["/any/1.png", "/any/1.jpg", "/any/2.x.png"], ["1.png", "1.jpg", "2.x"]),
        (["/any/in/1.png", "/any/2.png"], ["in/1", "2"]),
        (["cycle_gan/maps testA[0]", "cycle_gan/maps testA[1]"], ["testA_0", "testA_1"]),
    ],
)
def test_short_names(paths, names):
    assert short_names(paths) == names


def test_pairs():
    names, others = ["1_A", "2_A", "3"], ["2_B", "3", "4"]
    assert find_pairs(names, others, "names").tolist() == [NO_PAIR, 0, 1]
    assert find_pairs(names, others, "order").tolist() == [0, 1, 2]
    assert find_pairs(names, others, "none").tolist() == [NO_PAIR] * 3
    with pytest.raises(UserError, match="these have 3 and 2"):
        find_pairs(names, others[:2], "order")


@pytest.fixture
def files(tmp_path):
    """Files of pairs: on the left each pixel says where it is, on the right it is inverted."""
    for folder, count in (("train", 5), ("val", 2), ("test", 3)):
        (tmp_path / "pairs" / folder).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(np.hstack(pair(index))).save(
                tmp_path / "pairs" / folder / f"{index}.png"
            )
    return tmp_path / "pairs"


def pair(index):
    rows, columns = np.mgrid[:40, :44]
    left = np.stack([rows, columns, np.full_like(rows, index)], axis=-1).astype(np.uint8)
    return left, 255 - left


def config(dataset, **settings):
    settings = {"image_size": 32, "load_size": "40x44", "generator": "resnet1"} | settings
    return Config(dataset=str(dataset), resize_method="nearest", batch_size=2, **settings)


def pixels(images):
    return np.round((images.numpy() + 1) * 127.5).astype(np.uint8)


@pytest.mark.parametrize("zipped", [False, True])
def test_files_of_pairs_are_two_domains(files, tmp_path, zipped):
    source = files
    if zipped:
        source = tmp_path / "pairs.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in files.rglob("*.png"):
                archive.write(path, f"facades/{path.relative_to(files)}")
    domains = open_source(str(source))
    assert {split: len(domain) for split, domain in domains.items()} == {
        "trainA": 5,
        "trainB": 5,
        "testA": 3,
        "testB": 3,
    }
    for index in range(3):
        for letter, expected in zip("AB", pair(index), strict=True):
            np.testing.assert_array_equal(domains[f"test{letter}"].image(index), expected)


def test_val_is_for_testing_where_there_is_no_test(files):
    (files / "test").rename(files / "other")
    assert len(open_source(str(files))["testB"]) == 2


def test_folders_of_domains_win_over_files_of_pairs(files):
    for split in ("trainA", "trainB"):
        write_images(files / split, 1)
    domains = open_source(str(files))
    assert list(domains) == ["trainA", "trainB"]
    assert domains["trainA"].half is None


def test_an_odd_width_has_no_halves(files):
    Image.new("RGB", (81, 40)).save(files / "train" / "odd.png")
    with pytest.raises(UserError, match=r"odd\.png \(it is 81 pixels wide; two pictures side by"):
        load_dataset(config(files), paired=True)
    data = load_dataset(config(files, skip_unreadable=True), paired=True)
    assert len(data.train_x) == len(data.train_y) == 5


@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a"])
def test_a_pair_has_one_order_one_crop_and_one_mirror(files, direction, monkeypatch):
    if direction == "b_to_a":
        monkeypatch.setattr(Config, "domains", property(lambda self: ("B", "A")))
    data = load_dataset(config(files), paired=True)
    assert data.steps_per_epoch == 2
    seen, mirrored = [], set()
    for x, y in data.train_batches(0, 20):
        x, y = pixels(x), pixels(y)
        np.testing.assert_array_equal(x, 255 - y)
        left = x if direction == "a_to_b" else y
        seen += left[:, 0, 0, 2].tolist()
        mirrored |= set((left[:, 0, 0, 1] > left[:, 0, -1, 1]).tolist())
    assert set(seen) == set(range(5)) and mirrored == {True, False}
    x, y = data.test_images(2)
    np.testing.assert_allclose(x, -y, atol=1e-6)


def test_equal_names_are_pairs_whatever_their_order(tmp_path):
    for folder, names in (("trainA", ["1_A", "2_A", "3_A"]), ("trainB", ["3_B", "1_B", "2_B"])):
        (tmp_path / folder).mkdir()
        for name in names:
            left, right = pair(int(name[0]))
            side = left if folder == "trainA" else right
            suffix = ".png" if name != "2_B" else ".bmp"
            Image.fromarray(side).save(tmp_path / folder / f"{name}{suffix}")
    for x, y in load_dataset(config(tmp_path), paired=True).train_batches(0, 6):
        np.testing.assert_array_equal(pixels(x), 255 - pixels(y))


def test_what_has_no_partner_is_named(tmp_path):
    write_images(tmp_path / "trainA", 3)
    write_images(tmp_path / "trainB", 5)
    message = r"trainB/003\.png has no partner of its name in the other domain, as 2 of 8 images"
    with pytest.raises(UserError, match=message):
        load_dataset(config(tmp_path), paired=True)
    with pytest.raises(UserError, match=r"emoji is not paired: .* as 1652 of 1652 images"):
        load_dataset(config("emoji"), paired=True)
    assert len(load_dataset(config(tmp_path)).train_y) == 5


def test_a_pair_is_left_out_together(tmp_path):
    for split in ("trainA", "trainB"):
        write_images(tmp_path / split, 5)
    (tmp_path / "trainA" / "001.png").write_bytes(b"no image")
    (tmp_path / "trainB" / "003.png").write_bytes(b"no image")
    data = load_dataset(config(tmp_path, skip_unreadable=True), paired=True)
    for images in (data.train_x, data.train_y):
        assert [name[-7:] for name in images.names] == ["000.png", "002.png", "004.png"]
        assert sorted(name.split("/")[-1][:7] for name in images.skipped) == ["001.png", "003.png"]
    with pytest.raises(UserError, match=r"the first is .*001"):
        load_dataset(config(tmp_path), paired=True)


def test_unpaired_methods_read_files_of_pairs(files):
    data = load_dataset(dataclasses.replace(config(files)))
    x, y = next(iter(data.train_batches(0, 1)))
    assert x.shape == y.shape == (2, 32, 32, 3)
