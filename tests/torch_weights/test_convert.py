import contextlib
import hashlib
import http.server
import json
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tf_cyclegan import convert, train
from tf_cyclegan.commands import run_command
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import Config
from tf_cyclegan.methods.cyclegan.step import CycleGAN
from tf_cyclegan.torch_weights import pretrained
from tf_cyclegan.torch_weights.checkpoint import read_checkpoint
from tf_cyclegan.torch_weights.networks import TorchNetwork, build_network, convert_checkpoint
from tf_cyclegan.training.initial_networks import load_initial_networks
from tf_cyclegan.translation.formats import keras_bytes
from tf_cyclegan.translation.load import load_translator

GOLDEN = Path(__file__).parents[1] / "golden"

NETWORKS = {
    "resnet.pth": "2 blocks, 2 filters, instance norm without scale and offset, 3 channels to 3",
    "resnet.safetensors": "residual generator of 2 blocks",
    "resnet_old.pth": "2 blocks, 2 filters, instance norm without scale and offset, 3 channels to 3",
    "resnet_batch_dropout.pth": "1 block with dropout, 2 filters, batch norm, 1 channels to 2",
    "unet_batch.pth": "U-Net of 5 levels (unet_32), 2 filters, batch norm, 3 channels to 1",
    "unet_instance.pth": "U-Net of 4 levels (unet_16), 2 filters, instance norm without scale",
    "patchgan.pth": "PatchGAN discriminator of 3 layers, 2 filters, instance norm without",
    "patchgan_2_batch.pth": "discriminator of 2 layers, 2 filters, batch norm, 6 channels to 1",
    "resnet_cut.pth": "2 blocks with anti-aliasing, 2 filters, instance norm without scale",
    "patchgan_cut.pth": "discriminator of 3 layers with anti-aliasing, 2 filters, instance norm",
}


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def read_network(path: Path) -> TorchNetwork:
    return build_network(read_checkpoint(path), path)


def relative_errors(name: str) -> list[float]:
    """Ours against PyTorch's float64, on two sizes of image."""
    golden = np.load(GOLDEN / f"{name.split('.')[0].removesuffix('_old')}.npz")
    network = convert_checkpoint(GOLDEN / name)
    errors = []
    for i in range(2):
        expected = golden[f"output_{i}"]
        output = keras.ops.convert_to_numpy(network(golden[f"input_{i}"], training=False))
        assert output.shape == expected.shape
        errors.append(np.abs(output - expected).max() / np.abs(expected).max())
    return errors


@pytest.mark.parametrize("name", NETWORKS)
def test_gives_the_numbers_of_pytorch(name):
    assert max(relative_errors(name)) < 1e-5


@pytest.mark.parametrize("name", ["resnet_old.pth", *list(NETWORKS)[3:]])
def test_gives_all_digits_of_pytorch_in_float64(name, float64):
    # TensorFlow keeps the slope of a leaky ReLU in float32, 1.5e-8 off 0.2.
    leaky = name.startswith(("unet", "patchgan"))
    assert max(relative_errors(name)) < (1e-8 if leaky else 1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_tells_the_architecture(name):
    assert NETWORKS[name] in read_network(GOLDEN / name).summary


def test_another_filter_is_refused(tmp_path):
    tensors = read_checkpoint(GOLDEN / "resnet_cut.pth")
    tensors["model.11.filt"] = tensors["model.11.filt"] * 2
    path = save(tmp_path / "a.safetensors", tensors)
    with pytest.raises(UserError, match=r"has another filter in the tensor model\.11\.filt"):
        convert_checkpoint(path)


def test_dropout_is_where_it_was():
    def dropouts(name):
        layers = convert_checkpoint(GOLDEN / name).layers
        return [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)]

    assert dropouts("resnet_batch_dropout.pth") == [0.5]
    assert dropouts("resnet.pth") == []


def save(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    """Write float32 tensors as .safetensors."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        data = np.ascontiguousarray(tensor, np.float32).tobytes()
        offsets = [len(content), len(content) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        content += data
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + content)
    return path


FLIPPED = "has the tensor {} in the shape {}; a .* has it in the shape {}"


@pytest.mark.parametrize(
    ("file", "name", "shapes"),
    [
        ("resnet.pth", "model.1.weight", (r"\[3, 2, 7, 7\]", r"\[2, 3, 7, 7\]")),
        ("resnet.pth", "model.4.weight", (r"\[2, 4, 3, 3\]", r"\[4, 2, 3, 3\]")),
        ("resnet.pth", "model.12.weight", (r"\[4, 8, 3, 3\]", r"\[8, 4, 3, 3\]")),
        ("resnet.pth", "model.19.weight", (r"\[2, 3, 7, 7\]", r"\[3, 2, 7, 7\]")),
        ("unet_batch.pth", "model.model.1.model.1.weight", (r"\[2, 4, 4, 4\]", r"\[4, 2, 4, 4\]")),
        ("patchgan.pth", "model.8.weight", (r"\[8, 16, 4, 4\]", r"\[16, 8, 4, 4\]")),
    ],
)
def test_a_flipped_or_missing_tensor_is_named(tmp_path, file, name, shapes):
    tensors = read_checkpoint(GOLDEN / file)
    flipped = tensors | {name: tensors[name].transpose(1, 0, 2, 3)}
    with pytest.raises(UserError, match=FLIPPED.format(name, *shapes)):
        read_network(save(tmp_path / "flipped.safetensors", flipped))
    del tensors[name]
    shape = r"\[2, ...\]" if name == "model.1.weight" else shapes[1]
    with pytest.raises(UserError, match=f"lacks the tensor {name} of shape {shape}"):
        read_network(save(tmp_path / "missing.safetensors", tensors))


def renamed(tensors: dict, old: str, new: str) -> dict:
    return {name.replace(old, new): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t | {"extra": np.zeros([3, 4])}, r"has the tensor 'extra' of shape \[3, 4\]"),
        (
            lambda t: t | {"model.1.weight": np.zeros([2, 0, 7, 7])},
            r"model\.1\.weight in the shape \[2, 0, 7, 7\]: a network of no channels",
        ),
        (
            lambda t: t | {f"model.{i}.conv_block.1.weight": np.zeros([1]) for i in range(10, 200)},
            "more than 100 blocks",
        ),
        (lambda t: {f"model.{i}.weight": np.zeros([1]) for i in range(200)}, "is no PatchGAN"),
        (lambda t: renamed(t, "model.11.", "model.21."), "residual blocks at model.10, model.21"),
        (lambda t: {n: x for n, x in t.items() if "bias" not in n}, "network without norms"),
        (lambda t: renamed(t, "model.", "encoder."), r"no residual generator.*'encoder\.1\."),
        (
            lambda t: t | {"model.1.bias": np.array([np.nan, 0])},
            "undefined numbers .* model.1.bias",
        ),
    ],
)
def test_refuses_other_networks(tmp_path, change, sentence):
    path = save(tmp_path / "a.safetensors", change(read_checkpoint(GOLDEN / "resnet.pth")))
    with pytest.raises(UserError, match=sentence):
        read_network(path)


def test_the_command_writes_what_translate_takes(tmp_path, capsys):
    output = tmp_path / "out"
    convert.main([str(GOLDEN / "resnet_old.pth"), "--output", str(output)])
    assert sorted(path.name for path in output.iterdir()) == ["model.keras", "saved_model"]

    network = convert_checkpoint(GOLDEN / "resnet.pth")
    stored = keras.saving.load_model(output / "model.keras")
    for ours, theirs in zip(stored.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    images = np.random.default_rng(0).integers(0, 256, [1, 24, 32, 3], np.uint8)
    pixels = (network(images / 127.5 - 1).numpy() + 1) * 127.5
    translate = load_translator(output)
    assert np.abs(translate(images) - pixels).max() <= 0.501
    assert translate(images[:, :23, :30]).shape == (1, 23, 30, 3)


@pytest.mark.parametrize("name", ["patchgan.pth", "resnet_batch_dropout.pth"])
def test_the_command_writes_no_translator_of_what_translates_no_colours(tmp_path, name, capsys):
    output = tmp_path / "out"
    convert.main([str(GOLDEN / name), "--output", str(output)])
    assert [path.name for path in output.iterdir()] == ["model.keras"]
    said = capsys.readouterr().err
    assert ("takes 1 channels to 2" in said) == (name != "patchgan.pth")


def fails(*arguments: str, capsys) -> str:
    """The sentence that the command ends with."""
    with pytest.raises(SystemExit) as end:
        run_command(lambda: convert.main(list(arguments)))
    assert end.value.code == 2
    *_, said = capsys.readouterr().err.splitlines()  # after a line about a mirror without https
    assert said.startswith("error: ")
    return said


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    checkpoint, output = str(GOLDEN / "resnet.pth"), str(tmp_path / "out")
    cut = tmp_path / "cut.pth"
    cut.write_bytes((GOLDEN / "resnet_old.pth").read_bytes()[:9000])
    assert "cut.pth is cut off" in fails(str(cut), "--output", output, capsys=capsys)
    said = fails(checkpoint, "--output", str(tmp_path), capsys=capsys)
    assert f"--output {tmp_path} exists already" in said
    assert "either" in fails("--output", output, capsys=capsys)
    both = (checkpoint, "--pretrained", "horse2zebra", "--output", output)
    assert "either" in fails(*both, capsys=capsys)
    said = fails("--pretrained", "horse2dog", "--output", output, capsys=capsys)
    assert "horse2dog" in said and all(name in said for name in pretrained.NAMES)
    assert not Path(output).exists()


def test_what_another_process_wrote_meanwhile_stays(tmp_path, monkeypatch, capsys):
    output = tmp_path / "out"

    def written_by_another(network, *_):
        output.mkdir()
        (output / "model.keras").write_text("of another")

    monkeypatch.setattr("tf_cyclegan.translation.translator.save_translator", written_by_another)
    with pytest.raises(UserError, match=r"something else has written .*/out in the meantime"):
        convert.main([str(GOLDEN / "resnet.pth"), "--output", str(output)])
    assert (output / "model.keras").read_text() == "of another"
    assert list(tmp_path.iterdir()) == [output]


def test_the_command_runs_no_pickle(tmp_path):
    marker = tmp_path / "marker"
    evil = tmp_path / "latest_net_G.pth"
    evil.write_bytes(f"\x80\x02cos\nsystem\n(U\x06touch {marker}tR.".encode("latin-1"))
    command = [sys.executable, "-m", "tf_cyclegan.convert", evil, "--output", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: {evil} is not a file of torch.save (asks for 'os.system'"
    )
    assert not marker.exists()


PUBLISHED = GOLDEN / "resnet_batch_dropout.pth"


EVIL = "\x1b]0;owned\x07\x9b2J"  # would set a terminal's title and clear it


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one good file, one page, one file that ends too early, and some malice."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path)
        good = PUBLISHED.read_bytes()
        name = Path(self.path).stem
        if malice := getattr(self, name, None):
            return malice()
        content = {"horse2zebra": good, "zebra2horse": b"<html>", "sat2map": good[:5000]}.get(name)
        if content is None:
            return self.send_error(404, "Not Found")
        self.send_response(200)
        self.send_header("Content-Length", str(len(good) if name == "sat2map" else len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass

    def map2sat(self):
        self.wfile.write(f"HTTP/1.1 500 {EVIL}\r\n\r\n".encode("latin-1"))

    def style_monet(self):
        self.send_response(302)
        self.send_header("Location", f"http://{self.headers['Host']}/models/horse2zebra.pth")
        self.end_headers()

    def style_cezanne(self):
        self.send_response(200)
        self.send_header("Content-Length", "9" * 12)
        self.end_headers()

    def style_ukiyoe(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX: ")
        self.drip()

    def style_vangogh(self):
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.drip()

    def facades_photo2label(self):
        self.send_response(200)
        self.end_headers()
        self.drip(bytes(2**20))

    def drip(self, drop=b"a"):
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(drop)
                time.sleep(0.01)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    Server.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/models"
        monkeypatch.setenv("TF_CYCLEGAN_PRETRAINED_URL", url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield url
        server.shutdown()


def test_pretrained_is_fetched_once(mirror, tmp_path, capsys):
    for output in ("once", "twice"):
        convert.main(["--pretrained", "horse2zebra", "--output", str(tmp_path / output)])
        said = capsys.readouterr().err
        is_first = output == "once"
        assert (hashlib.sha256(PUBLISHED.read_bytes()).hexdigest() in said) == is_first
        assert ("is not https: others can change what comes on its way" in said) == is_first
    assert Server.asked == ["/models/horse2zebra.pth"]
    cached = tmp_path / "cache" / "tf_cyclegan" / "horse2zebra.pth"
    assert cached.read_bytes() == PUBLISHED.read_bytes()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("monet2photo", "Not Found"),
        ("zebra2horse", "what came is not a checkpoint"),
        ("sat2map", "the connection ended after 5000 of"),
        ("map2sat", r"\x1b]0;owned\x07\x9b2J"),
        ("style_monet", "it leads on to http://127.0.0.1"),
        ("style_cezanne", "it has more than 1 MiB"),
        ("facades_photo2label", "it has more than 1 MiB"),
    ],
)
def test_a_failed_download_says_how_to_go_on(mirror, tmp_path, name, reason, capsys, monkeypatch):
    monkeypatch.setattr(pretrained, "MAX_BYTES", 2**20)
    said = fails("--pretrained", name, "--output", str(tmp_path / "out"), capsys=capsys)
    assert EVIL[0] not in said and EVIL[-3] not in said
    assert f"tried {mirror}/{name}.pth ({reason}" in said.replace("HTTP Error 404: ", "")
    assert f"download {mirror}/{name}.pth in a browser" in said
    assert not (tmp_path / "cache" / "tf_cyclegan").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["style_ukiyoe", "style_vangogh"])
def test_a_server_that_draws_it_out_is_left(mirror, tmp_path, name, capsys, monkeypatch):
    monkeypatch.setattr(pretrained, "DEADLINE_SECONDS", 0.5)
    said = fails("--pretrained", name, "--output", str(tmp_path / "out"), capsys=capsys)
    assert "it was not done after 0.00833333 minutes" in said or "timed out" in said


def test_a_mirror_is_a_folder_or_a_web_server(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TF_CYCLEGAN_PRETRAINED_URL", "ftp://example.org")
    said = fails("--pretrained", "map2sat", "--output", str(tmp_path / "out"), capsys=capsys)
    assert "TF_CYCLEGAN_PRETRAINED_URL is ftp://example.org; it should begin with https://" in said
    (tmp_path / "map2sat.pth").write_bytes(PUBLISHED.read_bytes())
    monkeypatch.setenv("TF_CYCLEGAN_PRETRAINED_URL", tmp_path.as_uri())
    fetched = pretrained.fetch_pretrained("map2sat")
    assert fetched.read_bytes() == PUBLISHED.read_bytes()


def test_the_authors_server_is_asked_by_https_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TF_CYCLEGAN_PRETRAINED_URL", raising=False)
    asked = []

    def download(url, what):
        asked.append(url)
        raise OSError("refused")

    monkeypatch.setattr(pretrained, "_download", download)
    with pytest.raises(UserError, match="refused"):
        pretrained.fetch_pretrained("horse2zebra")
    assert [url.split(":")[0] for url in asked] == ["https"]


def six_blocks(path: Path) -> Path:
    """Write a checkpoint of 6 blocks by repeating those of a smaller one."""
    tensors = {}
    for name, tensor in read_checkpoint(GOLDEN / "resnet.pth").items():
        _, place, rest = name.split(".", 2)
        places = [int(place)]
        if rest.startswith("conv_block"):
            places = range(int(place), 16, 2)
        elif places[0] > 11:
            places = [places[0] + 4]
        tensors |= {f"model.{place}.{rest}": tensor for place in places}
    return save(path, tensors)


TINY = {
    "generator": "resnet6",
    "filters": 2,
    "discriminator_filters": 2,
    "norm_affine": False,
    "image_size": 24,
    "load_size": 24,
}


def test_a_run_starts_from_converted_generators(tmp_path):
    path = six_blocks(tmp_path / "g.safetensors")
    converted = tmp_path / "converted"
    converted.mkdir()
    convert_checkpoint(path).save(converted / "model.keras")
    config = Config(**TINY, init_generator_g=str(path), init_generator_f=str(converted))
    gan = CycleGAN(config, 1)
    load_initial_networks(gan, config)
    expected = convert_checkpoint(path).get_weights()
    for generator in (gan.generator_g, gan.generator_f):
        for weight, value in zip(generator.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(weight, value)


def test_only_a_run_that_begins_is_given_generators(tmp_path, monkeypatch):
    begun = []

    def one_step(trainer):
        trainer.method.step.assign_add(1)
        trainer._save_checkpoint(1)

    monkeypatch.setattr("tf_cyclegan.training.trainer.Trainer.run", one_step)
    monkeypatch.setattr("tf_cyclegan.translation.translator.export_run", lambda *_: [])
    monkeypatch.setattr(
        "tf_cyclegan.training.initial_networks.load_initial_networks",
        lambda *_: begun.append(1),
    )
    for _ in range(2):
        train(Config(**TINY, run_dir=str(tmp_path / "run"), steps=2))
    assert begun == [1]


def test_a_generator_that_does_not_fit_is_told_with_both(tmp_path):
    path = str(GOLDEN / "resnet.pth")
    config = Config(**TINY, init_generator_f=path)
    sentence = (
        f"--init-generator-f {path} is resnet_2blocks, 2 filters, .*"
        "run's generator is resnet_6blocks, 2 filters"
    )
    with pytest.raises(UserError, match=sentence):
        load_initial_networks(CycleGAN(config, 1), config)


def test_anti_aliasing_is_part_of_what_fits(tmp_path):
    settings = TINY | {"generator": "resnet2", "init_generator_g": str(GOLDEN / "resnet_cut.pth")}
    config = Config(**settings, upsampling="resize")  # whose weights have the same shapes
    with pytest.raises(UserError, match=r"BlurDoubling2D, BlurHalving2D, .*--antialias"):
        load_initial_networks(CycleGAN(config, 1), config)
    given = convert_checkpoint(GOLDEN / "resnet_cut.pth")
    exported = tmp_path / "exported.keras"  # of Keras's own layers
    exported.write_bytes(keras_bytes(given))
    for path in (settings["init_generator_g"], str(exported)):
        settings["init_generator_g"] = path
        config = Config(**settings, upsampling="blur", antialias=True)
        gan = CycleGAN(config, 1)
        load_initial_networks(gan, config)
        np.testing.assert_array_equal(gan.generator_g.get_weights()[0], given.get_weights()[0])


@pytest.mark.parametrize("file", ["missing.keras", "missing.pth", "empty.keras", "empty.pth", ""])
def test_a_file_that_is_no_generator_is_told(tmp_path, file):
    for name in ("empty.keras", "empty.pth"):
        (tmp_path / name).touch()
    config = Config(**TINY, init_generator_g=str(tmp_path / file))
    with pytest.raises(UserError, match=file or "model.keras"):
        load_initial_networks(SimpleNamespace(checkpoint_items={"generator_g": None}), config)
