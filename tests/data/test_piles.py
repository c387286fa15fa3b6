"""Two piles of images as a data set: what is held out, and what is passed over."""

import hashlib
import zipfile

import pytest
from conftest import write_images

from tf_cyclegan import assemble
from tf_cyclegan.data.passed_over import passed_over
from tf_cyclegan.data.piles import divided, open_data
from tf_cyclegan.data.sources import open_source
from tf_cyclegan.methods.cyclegan.settings import Config


@pytest.fixture(scope="module")
def piles(tmp_path_factory):
    """60 photographs in two folders, and a .zip of 8 paintings with other things beside them."""
    root = tmp_path_factory.mktemp("piles")
    write_images(root / "photos" / "north", 40, size=(6, 6), seed=1)
    write_images(root / "photos" / "south" / "deep", 20, size=(6, 6), seed=2, suffix=".jpg")
    (root / "photos" / "north" / "a.nef").write_text("")
    (root / "photos" / "b.NEF").write_text("")
    (root / "photos" / "notes").write_text("")
    (root / "photos" / ".DS_Store").write_text("")
    write_images(root / "paintings", 8, size=(6, 6), seed=3)
    with zipfile.ZipFile(root / "paintings.zip", "w") as archive:
        for path in (root / "paintings").iterdir():
            archive.write(path, path.name)
        archive.writestr("list.txt", "")
        archive.writestr("__MACOSX/._000.png", "")
    return root


def test_a_tenth_is_held_out_by_the_sha_256_of_the_names(piles):
    def is_tested(name):  # the rule once more, in another way
        return int(hashlib.sha256(name.encode()).hexdigest()[:14], 16) < 0.1 * 16**14

    data = open_data(Config(x=str(piles / "photos"), y=str(piles / "paintings.zip")))
    assert sorted(data) == ["testA", "testB", "trainA", "trainB"]
    names = [f"north/{i:03}" for i in range(40)] + [f"south/deep/{i:03}" for i in range(20)]
    tested = [str(piles / "photos" / name) for name in names if is_tested(name)]
    assert 2 <= len(tested) <= 12
    assert [name.rsplit(".")[0] for name in data["testA"].names] == tested
    assert len(data["trainA"]) == 60 - len(tested)
    assert len(data["trainB"]) + len(data["testB"]) == 8
    assert data["testB"].read(0)[:4] == b"\x89PNG"


def test_an_added_picture_moves_no_other(piles, tmp_path):
    write_images(tmp_path / "pile", 30, size=(6, 6))
    before = [set(side.names) for side in divided(tmp_path / "pile", 0.3)]
    write_images(tmp_path / "pile" / "new", 10, size=(6, 6))
    after = [set(side.names) for side in divided(tmp_path / "pile", 0.3)]
    assert all(old <= new for old, new in zip(before, after, strict=True))
    assert sum(map(len, after)) == 40


@pytest.mark.parametrize("count", [2, 3])
def test_of_few_images_one_is_held_out_and_one_is_not(count, tmp_path):
    write_images(tmp_path / "pile", count, size=(6, 6))
    train, test = divided(tmp_path / "pile", 0.01)
    assert (len(train), len(test)) == (count - 1, 1)
    train, test = divided(tmp_path / "pile", 0.99)
    assert (len(train), len(test)) == (1, count - 1)


def test_pairs_are_held_out_together(tmp_path):
    write_images(tmp_path / "a", 20, size=(6, 6))
    write_images(tmp_path / "b", 20, size=(6, 6), suffix=".jpg")
    tests = [divided(tmp_path / pile, 0.3)[1].names for pile in "ab"]
    stems = [[name[-7:-4] for name in names] for names in tests]
    assert stems[0] == stems[1] != []


def test_what_is_passed_over_is_counted(piles):
    config = Config(x=str(piles / "photos"), y=str(piles / "paintings.zip"))
    assert passed_over(open_data(config)) == (
        "passed over 2 .nef (raw photographs: export them as JPEG or TIFF), 1 without a suffix and "
        "1 .txt"
    )
    config = Config(dataset="emoji")
    assert passed_over(open_data(config)) == ""


def test_beside_a_data_set_s_folders_nothing_is_counted(image_folder, tmp_path):
    link = tmp_path / "set"
    link.mkdir()
    for split in ("trainA", "trainB"):
        write_images(link / split, 2, size=(6, 6))
        (link / split / "a.xcf").write_text("")
    (link / "readme.md").write_text("")
    config = Config(dataset=str(link))
    assert passed_over(open_data(config)) == "passed over 2 .xcf"


@pytest.mark.parametrize("output", ["set", "set.zip"])
def test_the_command_writes_what_training_on_the_piles_reads(piles, output, command, tmp_path):
    x, y = piles / "photos", piles / "paintings.zip"
    code, _ = command(assemble.main, "--x", x, "--y", y, "--output", tmp_path / output)
    assert code == 0
    written = open_source(str(tmp_path / output))
    for split, domain in open_data(Config(x=str(x), y=str(y))).items():
        assert sorted(domain.read(i) for i in range(len(domain))) == sorted(
            written[split].read(i) for i in range(len(written[split]))
        )
