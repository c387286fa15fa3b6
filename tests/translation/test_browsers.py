"""The pages of docs/browsers.md translate in a real browser, with the numbers of Keras."""

import functools
import http.server
import os
import re
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
from browser import chromium, open_page  # noqa: F401
from PIL import Image

from tf_cyclegan.models import resnet_generator, unet_generator
from tf_cyclegan.translation import formats

PACKAGES = Path(__file__).parent / "browser" / "node_modules"
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "browsers.md").read_text()
SIDE = 64  # of the page's canvas

NETWORKS = {
    "resnet": (lambda: resnet_generator(1, filters=4), 4),
    "unet": (lambda: unet_generator(filters=4, levels=3, upsampling="resize"), 8),
}


class Files(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and the packages from theirs."""

    def translate_path(self, path):
        if path.startswith("/node_modules/"):
            return str(PACKAGES / path.removeprefix("/node_modules/"))
        return super().translate_path(path)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """A folder and the address at which it is served."""
    if not PACKAGES.is_dir():
        missing = "no onnxruntime-web and LiteRT.js: npm ci --prefix tests/translation/browser"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    handler = functools.partial(Files, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def spread_weights(network):
    """Give a network weights that spread its output over the whole range."""
    random = np.random.default_rng(0)
    for weight in network.weights:
        weight.assign(random.normal(1.0 if weight.name == "scale" else 0.0, 0.2, weight.shape))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("format", "runtime"), [("onnx", "onnxruntime"), ("litert", "litertjs")])
def test_browser_makes_the_numbers_of_keras(name, format, runtime, site, open_page):  # noqa: F811
    build, multiple = NETWORKS[name]
    network = build()
    spread_weights(network)
    folder, address = site
    suffix, to_bytes = formats.FILE_FORMATS[format]
    (folder / f"x_to_y{suffix}").write_bytes(to_bytes(network, multiple, image_size=(SIDE, SIDE)))
    blocks = re.findall(r"^```(html|js)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (html,) = [code for language, code in blocks if language == "html"]
    (script,) = [code for language, code in blocks if language == "js" and runtime in code]
    (folder / "index.html").write_text(html)
    (folder / "translate.js").write_text(script)
    pixels = np.random.default_rng(1).integers(0, 256, [SIDE, SIDE, 3], np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    image = pixels.astype("float32") / 127.5 - 1

    page = open_page(address)
    translated = page.evaluate(
        """async ([pixels, side]) => {
            const {translate} = await import("/translate.js");
            return Array.from(await translate(Float32Array.from(pixels), side, side));
        }""",
        [image.ravel().tolist(), SIDE],
    )
    expected = keras.ops.convert_to_numpy(network(image[None], training=False))[0]
    assert expected.std() > 0.2
    np.testing.assert_allclose(np.reshape(translated, expected.shape), expected, rtol=0, atol=2e-5)

    page.set_input_files("input", folder / "picture.png")
    page.wait_for_function("document.title == 'translated'")
    shown = page.evaluate(
        "Array.from(document.querySelector('canvas').getContext('2d')"
        f".getImageData(0, 0, {SIDE}, {SIDE}).data)"
    )
    shown = np.reshape(shown, [SIDE, SIDE, 4])[..., :3]
    np.testing.assert_allclose(shown, (expected + 1) * 127.5, rtol=0, atol=0.51)
    # LiteRT.js writes its notes where errors go.
    notes = ("INFO: ", "WARNING: ")
    open_page.errors[:] = [error for error in open_page.errors if not error.startswith(notes)]
