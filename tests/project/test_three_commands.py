"""From two folders of photographs to a translated picture, by three commands as a user types them."""

import json
import shlex

import numpy as np
import pytest
from conftest import write_images
from PIL import Image

from tf_cyclegan import __main__

# What the preset `photos` is too large for here.
SMALL = (
    "--image-size 32 --generator resnet1 --filters 2 --discriminator-filters 2 --steps 2 "
    "--sample-every 2"
)


@pytest.fixture
def typed(command, monkeypatch):
    """Type a command; returns what it wrote to stderr."""

    def type_(line):
        program, *words = shlex.split(line)
        assert program == "tf-cyclegan"
        monkeypatch.setattr("sys.argv", [program, *words])
        code, errors = command(lambda _: __main__.main())
        assert code == 0, errors
        return errors

    return type_


def test_three_commands(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "my" / "photos" / "2025", 7, size=(60, 40), seed=1, suffix=".jpg")
    write_images(tmp_path / "my" / "paintings", 5, size=(40, 50), seed=2)
    (tmp_path / "my" / "photos" / "IMG_1.NEF").write_text("")

    told = typed(f"tf-cyclegan train --x my/photos --y my/paintings {SMALL} --copy-steps 2")
    assert "passed over 1 .nef (raw photographs: export them as JPEG or TIFF)" in told
    assert "2 steps of 1 are too few to show more than that it runs" in told
    assert "all 2 steps are of --copy-steps 2, in which generators learn to copy" in told
    run = tmp_path / "runs" / "photos2paintings"
    settings = json.loads((run / "config.json").read_text())
    assert settings["upsampling"] == "resize" and settings["adversarial_loss"] == "lsgan"
    data = json.loads((run / "data.json").read_text())
    assert (data["trainA"], data["trainB"]) == (6, 4)  # one of each is held out
    assert (run / "samples" / "step_000002.png").is_file()

    typed("tf-cyclegan evaluate --run runs/photos2paintings")
    judged = json.loads((run / "evaluation" / "metrics.json").read_text())
    assert judged["splits"] == {"x": "testA", "y": "testB"}

    typed("tf-cyclegan translate --model runs/photos2paintings --input my/photos --output painted")
    translated = np.asarray(Image.open(tmp_path / "painted" / "2025" / "000.jpg"))
    assert translated.shape == (40, 60, 3) and translated.std() > 0
