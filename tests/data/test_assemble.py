"""A data set from two piles of images."""

import zipfile

import pytest
from conftest import write_images

import tf_cyclegan as cg
from tf_cyclegan.data.sources import open_source


@pytest.fixture
def piles(tmp_path):
    """A folder of 20 images in two folders of the same names, and a .zip of 10 with other things."""
    write_images(tmp_path / "sea" / "north", 10, seed=1)
    write_images(tmp_path / "sea" / "south", 10, seed=2)
    write_images(tmp_path / "hills", 10, seed=3, suffix=".jpg")
    with zipfile.ZipFile(tmp_path / "hills.zip", "w") as archive:
        for path in (tmp_path / "hills").iterdir():
            archive.write(path, f"my hills/{path.name}")
        archive.writestr("my hills/notes.txt", "no image")
        archive.writestr("__MACOSX/my hills/._000.jpg", "no image")
    return tmp_path


def contents(*folders):
    return sorted(path.read_bytes() for folder in folders for path in folder.iterdir())


def test_every_image_comes_once_and_some_are_held_out(piles):
    folder = cg.assemble_dataset(piles / "sea", piles / "hills.zip", piles / "set", test_share=0.2)
    counts = {split: len(domain) for split, domain in open_source(str(folder)).items()}
    assert counts == {"trainA": 17, "trainB": 9, "testA": 3, "testB": 1}
    sea = contents(piles / "sea" / "north", piles / "sea" / "south")
    assert contents(folder / "trainA", folder / "testA") == sea
    assert contents(folder / "trainB", folder / "testB") == contents(piles / "hills")
    assert (folder / "trainB" / "001.jpg").exists() or (folder / "testB" / "001.jpg").exists()


def test_what_is_held_out_follows_from_the_seed(piles):
    def held_out(name, seed):
        folder = cg.assemble_dataset(piles / "sea", piles / "hills", piles / name, 0.3, seed)
        return contents(folder / "testA")

    assert held_out("one", 0) == held_out("two", 0) != held_out("three", 1)


def test_nothing_held_out(piles):
    folder = cg.assemble_dataset(piles / "sea", piles / "hills", piles / "set", test_share=0)
    assert sorted(path.name for path in folder.iterdir()) == ["trainA", "trainB"]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("missing", "there is no folder or .zip"),
        ("none", "holds no image"),
        ("one", "holds too few images: 1; it takes at least 2, one to train on"),
        ("evil.zip", "leads out of it"),
    ],
)
def test_piles_that_do_not_do(piles, images, words):
    (piles / "none").mkdir()
    write_images(piles / "one", 1)
    with zipfile.ZipFile(piles / "evil.zip", "w") as archive:
        archive.writestr("../0.png", b"")
    with pytest.raises(cg.UserError, match=words):
        cg.assemble_dataset(piles / "sea", piles / images, piles / "set")
    assert not (piles / "set").exists()


def test_what_is_no_picture_is_counted(piles, capsys):
    (piles / "sea" / "notes.txt").write_text("a beach")
    cg.assemble_dataset(piles / "sea", piles / "hills", piles / "set")
    assert capsys.readouterr().err == f"{piles / 'sea'}: passed over 1 .txt\n"


def test_a_folder_that_exists_is_left_alone(piles):
    before = contents(piles / "hills")
    with pytest.raises(cg.UserError, match="exists already"):
        cg.assemble_dataset(piles / "sea", piles / "hills", piles / "hills")
    assert contents(piles / "hills") == before
