import hashlib
import http.server
import json
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest

from tf_cyclegan.errors import UserError
from tf_cyclegan.evaluation import inception
from tf_cyclegan.torch_weights.pickle import CheckpointError

GOLDEN = Path(__file__).parents[1] / "golden"


def tensor(name, shape):
    """The weights of tools/make_golden_inception.py."""
    value = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    if len(shape) == 4:
        value = (2 * value - 1) * np.sqrt(6 / np.prod(shape[1:]))
    elif name.endswith(("bias", "mean")):
        value = 0.4 * value - 0.2
    else:
        value = 0.5 + value
    return value.astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return inception.inception_v3()


@pytest.fixture(scope="module")
def tensors(network):
    shapes = [shape for layer in network.layers for shape in inception.tensors_of(layer).items()]
    return {name: tensor(name, shape) for name, shape in shapes}


@pytest.fixture(scope="module")
def weights(tensors, tmp_path_factory):
    """A file of weights, with the classifier that no feature needs."""
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    classifier = {"fc.weight": np.zeros([1008, 2048]), "fc.bias": np.zeros([1008])}
    header, content, place = {}, [], 0
    for name, value in (tensors | classifier).items():
        content.append(np.ascontiguousarray(value, np.float32).tobytes())
        offsets = [place, place := place + len(content[-1])]
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": offsets}
    head = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(content))
    return path


def test_names_and_shapes_are_those_of_the_published_file(tensors):
    shapes = sorted(f"{name} {list(value.shape)}" for name, value in tensors.items())
    assert len(shapes) == 94 * 5
    assert zlib.crc32("\n".join(shapes).encode()) == np.load(GOLDEN / "inception.npz")["shapes"]


@pytest.fixture(scope="module")
def loaded(weights):
    return inception.load_inception(weights)


@pytest.mark.parametrize("resize", ["legacy", "clean", "pytorch"])
def test_the_features_are_pytorchs(loaded, monkeypatch, resize):
    monkeypatch.setattr(inception, "load_inception", {"weights.pth": loaded}.get)
    images = np.random.RandomState(0).randint(0, 256, [2, 17, 10, 3]).astype(np.uint8)
    images = images.repeat(20, 1).repeat(20, 2)
    expected = np.load(GOLDEN / "inception.npz")[resize]
    features = inception.inception_extractor("weights.pth", resize)(images)
    assert features.shape == (2, 2048) and features.dtype == np.float32
    assert np.linalg.norm(features - expected) < 1e-4 * np.linalg.norm(expected)
    assert np.abs(features - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("shape", [(299, 299), (340, 200), (64, 512)])
def test_the_legacy_resize_is_tensorflow_1s(shape):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, [1, *shape, 3], np.uint8)

    def interpolation(size):
        """The matrix that scales one axis: no half pixels, the last pixel repeated."""
        matrix = np.zeros([299, size])
        for row, place in enumerate(np.arange(299) * (size / 299)):
            low = int(place)
            matrix[row, low] += 1 - (place - low)
            matrix[row, min(low + 1, size - 1)] += place - low
        return matrix

    rows, columns = (interpolation(size) for size in shape)
    expected = np.einsum("ih,hwc->iwc", rows, image[0], optimize=True)
    expected = np.einsum("jw,iwc->ijc", columns, expected, optimize=True)[None]
    scaled = inception.RESIZES["legacy"](image, (299, 299)).numpy()
    np.testing.assert_allclose(scaled, expected, atol=1e-2)  # float32 places in up to 512 pixels


def test_the_clean_resize_averages_and_does_not_round():
    stripes = np.zeros([1, 598, 598, 3], np.uint8)
    stripes[:, :, ::2] = 255
    clean, legacy = (
        inception.RESIZES[name](stripes, (299, 299)).numpy() for name in ("clean", "legacy")
    )
    assert np.abs(clean[:, :, 5:-5] - 127.5).max() < 10
    assert (legacy == 255).all()  # aliasing: every second column is never looked at
    assert (clean != np.round(clean)).any()


def test_a_wrong_file_is_refused_by_the_tensors_name(network, tensors):
    def said(changed):
        with pytest.raises(CheckpointError) as caught:
            inception.fill(network, changed)
        return str(caught.value)

    name = "Mixed_7c.branch3x3dbl_3b.conv.weight"
    missing = {key: value for key, value in tensors.items() if key != name}
    assert f"lacks the tensor {name} of shape [384, 384, 3, 1]" in said(missing)
    turned = tensors | {name: tensors[name].transpose(0, 1, 3, 2)}
    assert f"{name} in the shape [384, 384, 1, 3]" in said(turned)
    broken = tensors | {"Mixed_6a.branch3x3.bn.bias": np.full([384], np.nan)}
    assert "undefined numbers in the tensor Mixed_6a.branch3x3.bn.bias" in said(broken)
    assert "'AuxLogits.fc.weight'" in said(tensors | {"AuxLogits.fc.weight": np.zeros([2, 2])})
    # Torchvision's network differs by its classes alone; its features would be wrong numbers.
    assert "fc.bias in the shape [1000]" in said(tensors | {"fc.bias": np.zeros([1000])})


def test_there_are_three_resizes():
    with pytest.raises(
        UserError, match="no resize 'bilinear': choose one of legacy, clean, pytorch"
    ):
        inception.inception_extractor("any.pth", "bilinear")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server with a checkpoint under the name of the weights; gives the paths asked for."""
    content, asked = (GOLDEN / "patchgan.pth").read_bytes(), []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("TF_CYCLEGAN_PRETRAINED_URL", url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield asked
        server.shutdown()


def test_the_weights_are_fetched_once(mirror, monkeypatch):
    content = (GOLDEN / "patchgan.pth").read_bytes()
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(content).hexdigest())
    paths = [inception.fetch_inception() for _ in range(2)]
    assert paths[0] == paths[1] and paths[0].read_bytes() == content
    assert mirror == ["/pt_inception-2015-12-05-6726825d.pth"]

    paths[0].write_bytes(content + b"!")  # what others may write to the cache is looked at too
    with pytest.raises(
        UserError, match=rf"{paths[0]} is not the Inception .* SHA-256 is \w{{64}} "
    ):
        inception.fetch_inception()


def test_the_sum_is_the_published_one():
    assert len(bytes.fromhex(inception.SHA256)) == 32
    for source in inception.SOURCES:  # PyTorch's files are named after the sum's first digits
        assert source.endswith(f"-{inception.SHA256[:8]}.pth") and source.startswith("https://")


def test_other_weights_are_not_kept(mirror, tmp_path):
    with pytest.raises(
        UserError, match=rf"a SHA-256 of \w{{64}}, not {inception.SHA256}.*its path"
    ):
        inception.fetch_inception()
    assert not list(tmp_path.rglob("*.pth"))
