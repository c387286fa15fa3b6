import hashlib
import http.server
import threading
import tracemalloc
import zipfile
from functools import partial

import pytest
from conftest import TINY_SETTINGS, write_images
from trainings import quick_trainings

from tf_cyclegan import train
from tf_cyclegan.data.decode import UnreadableImage, decode_image
from tf_cyclegan.data.embedded import EMBEDDED
from tf_cyclegan.data.sources import SPLITS, open_images, open_source
from tf_cyclegan.errors import UserError
from tf_cyclegan.training.run import Run


def zip_folder(folder, path, top=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, top + str(file.relative_to(folder)))
    return path


def contents(domains):
    return {
        split: [hashlib.sha256(domain.read(i)).hexdigest() for i in range(len(domain))]
        for split, domain in domains.items()
    }


@pytest.mark.parametrize("top", ["", "horse2zebra/", "./data/"])
def test_a_zip_of_a_folder_is_the_folder(image_folder, tmp_path, top):
    archive = zip_folder(image_folder, tmp_path / "set.zip", top)
    from_zip, from_folder = open_source(str(archive)), open_source(str(image_folder))
    assert contents(from_zip) == contents(from_folder)
    assert [len(from_zip[split]) for split in SPLITS] == [5, 7, 2, 2]
    assert from_zip["trainA"].names[0].endswith("trainA/000.png")


def test_what_is_no_image_is_left_out(image_folder, tmp_path):
    write_images(tmp_path / "trainA" / "nested", 2)
    write_images(tmp_path / "trainB", 1)
    for name in (".DS_Store", "._000.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "trainB" / name).write_text("no image")
    domains = open_source(str(tmp_path))
    assert {split: len(domain) for split, domain in domains.items()} == {"trainA": 2, "trainB": 1}


def test_emoji_is_what_it_says():
    domains = open_source("emoji")
    names = {split: {name.split("/")[-1] for name in domains[split].names} for split in SPLITS}
    assert {split: len(members) for split, members in names.items()} == {
        "trainA": 826,
        "trainB": 826,
        "testA": 200,
        "testB": 200,
    }
    assert names["testA"] == names["testB"]
    assert not names["trainA"] & names["trainB"]
    assert not (names["trainA"] | names["trainB"]) & names["testA"]
    for split in SPLITS:
        image = decode_image(domains[split].read(0))
        assert image.size == (64, 64)
        assert image.getpixel((0, 0)) == (255, 255, 255)
    path = EMBEDDED["emoji"].archive
    assert path.stat().st_size <= 12e6
    with zipfile.ZipFile(path) as archive:
        assert b"Microsoft" in archive.read("LICENSE-MIT.txt")
        assert b"Apache License" in archive.read("LICENSE-Apache-2.0.txt")
        assert b"Noto Emoji" in archive.read("ATTRIBUTION.txt")


def test_a_damaged_member_is_unreadable_not_fatal(image_folder, tmp_path):
    archive = zip_folder(image_folder, tmp_path / "set.zip")
    data = bytearray(archive.read_bytes())
    data[200] ^= 255  # inside the first image: its checksum is wrong now
    archive.write_bytes(data)
    with pytest.raises(UnreadableImage):
        open_source(str(archive))["testA"].read(0)


def test_an_entry_that_climbs_out_is_refused(tmp_path):
    for name in ("../evil.png", "/etc/evil.png", "a/../../evil.png", "C:/evil.png", "..\\evil.png"):
        path = tmp_path / "evil.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"")
        with pytest.raises(UserError, match=r"evil\.zip has an entry that leads out of it"):
            open_source(str(path))


def test_half_a_zip_is_refused(image_folder, tmp_path):
    archive = zip_folder(image_folder, tmp_path / "set.zip")
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"is not a \.zip file, or only part of one"):
        open_source(str(archive))


def in_no_encoding(data, entry):
    return put(put(data, entry + 8, 2, 0x800), entry + 46, 1, 255)


# zipfile raises UnicodeDecodeError, IndexError, NotImplementedError, LZMAError, zlib.error and more.
DAMAGES = {
    "a name that is no UTF-8": in_no_encoding,
    "a method that does not exist": lambda data, entry: put(data, entry + 10, 2, 77),
    "another version": lambda data, entry: put(data, entry + 6, 2, 0xFFFF),
    "packed data": lambda data, entry: put(data, 60, 2, 0xFFFF),
    "a place beyond the end": lambda data, entry: put(data, entry + 42, 4, 2**32 - 2),
}


def put(data, place, size, number):
    return data[:place] + number.to_bytes(size, "little") + data[place + size :]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_raises_its_own_errors(damage, method, tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.png", b"what a picture is made of " * 100)
    data = path.read_bytes()
    path.write_bytes(DAMAGES[damage](data, data.rindex(b"PK\1\2")))
    with pytest.raises((UnreadableImage, UserError)):
        domain = open_images(path)
        if len(domain):
            domain.read(0)
        else:
            raise UserError("an entry without a name is no image")


@pytest.mark.parametrize(
    ("method", "size", "most"),
    [
        (zipfile.ZIP_DEFLATED, 2**26, 2**21),
        (zipfile.ZIP_BZIP2, 2**28, 2**27),  # two blocks of 46 MB are unpacked at once
        (zipfile.ZIP_LZMA, 2**26, 2**24),
    ],
)
def test_an_entry_unpacks_to_no_more_than_its_size(method, size, most, tmp_path):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.png", bytes(size))
    data = path.read_bytes()
    path.write_bytes(put(data, data.rindex(b"PK\1\2") + 24, 4, 1000))
    domain = open_images(path)
    tracemalloc.start()
    with pytest.raises(UnreadableImage, match="the archive is damaged there"):
        domain.read(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_entries_are_unpacked_whole(method, tmp_path):
    content = bytes(range(256)) * 1000 + bytes(10**6)
    with zipfile.ZipFile(tmp_path / "set.zip", "w", method) as archive:
        archive.writestr("a.png", content)
    assert open_images(tmp_path / "set.zip").read(0) == content


def test_an_entry_without_a_name_is_no_image(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in ("", ".", "trainA/", "trainA/a.png"):
            archive.writestr(zipfile.ZipInfo(name), b"")
    assert len(open_images(tmp_path / "set.zip")) == 1


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def official_archive(image_folder, tmp_path, monkeypatch):
    """TFDS's own builder, its download address turned to an archive served from this machine."""
    from tensorflow_datasets.image_classification import cycle_gan

    served = tmp_path / "served"
    served.mkdir()
    zip_folder(image_folder, served / "horse2zebra.zip", "horse2zebra/")
    handler = partial(QuietHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setitem(cycle_gan._DL_URLS, "horse2zebra", address + "horse2zebra.zip")
    monkeypatch.setitem(cycle_gan._DL_URLS, "maps", address + "missing.zip")
    yield server
    server.shutdown()


def test_tfds_prepares_once_and_trains_by_name_without_a_network(
    official_archive, image_folder, tmp_path, command
):
    data_dir = str(tmp_path / "tfds")
    domains = open_source("cycle_gan/horse2zebra", data_dir)
    prepared = contents(domains)
    from_folder = contents(open_source(str(image_folder)))
    assert {k: sorted(v) for k, v in prepared.items()} == {
        k: sorted(v) for k, v in from_folder.items()
    }

    official_archive.shutdown()
    official_archive.server_close()
    assert contents(open_source("cycle_gan/horse2zebra", data_dir)) == prepared
    options = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in TINY_SETTINGS.items()
        if name != "steps"
    ]
    options += ["--dataset=cycle_gan/horse2zebra", "--data-dir", data_dir, "--steps=2"]
    with quick_trainings():
        code, errors = command(train.main, *options, "--run-dir", tmp_path / "run")
    assert code == 0, errors
    assert Run(tmp_path / "run").trained().step == 2


def test_a_failed_download_says_how_to_go_on(official_archive, tmp_path):
    with pytest.raises(UserError, match=r"could not prepare cycle_gan/maps .*--dataset PATH\.zip"):
        open_source("cycle_gan/maps", str(tmp_path / "tfds"))
