"""Sample grids and loss curves: every picture under its heading, every loss drawn."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tf_cyclegan import pictures
from tf_cyclegan.pictures import image_grid, loss_curves, loss_groups, to_uint8

COLOURS = {"x": (200, 0, 0), "G(x)": (0, 200, 0), "truth": (0, 0, 200)}


def test_every_picture_stands_under_its_heading():
    # The rows of a column differ in brightness.
    columns = {
        heading: np.stack([np.full([128, 128, 3], colour) // (row + 1) for row in range(2)])
        for heading, colour in COLOURS.items()
    }
    columns = {heading: images.astype(np.uint8) for heading, images in columns.items()}
    grid = np.asarray(image_grid(columns))
    for place, (heading, images) in enumerate(columns.items()):
        left = 8 + place * (128 + 4)
        for row, image in enumerate(images):
            top = 8 + 24 + row * (128 + 4)
            np.testing.assert_array_equal(grid[top : top + 128, left : left + 128], image)
        alone = Image.new("RGB", (128, 24), "white")
        font = ImageFont.load_default(size=14)
        ImageDraw.Draw(alone).text((0, 0), heading, "black", font)
        np.testing.assert_array_equal(grid[8 : 8 + 24, left : left + 128], np.asarray(alone))


def test_small_pictures_are_enlarged_as_squares():
    image = np.random.default_rng(0).integers(0, 256, [1, 32, 32, 3], np.uint8)
    grid = np.asarray(image_grid({"x": image}))
    np.testing.assert_array_equal(
        grid[32 : 32 + 128, 8 : 8 + 128], image[0].repeat(4, 0).repeat(4, 1)
    )


def test_minus_one_to_one_is_0_to_255():
    values = np.array([-1, -0.999, 0, 1, 1.5, -3], np.float32)
    assert to_uint8(values).tolist() == [0, 0, 128, 255, 255, 0]


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        (
            ["generator_g", "discriminator_x", "cycle_x", "cycle_y", "identity_x"],
            {
                "adversarial": ["generator_g", "discriminator_x"],
                "cycle and identity": ["cycle_x", "cycle_y", "identity_x"],
            },
        ),
        (["l1", "generator"], {"adversarial": ["generator"], "l1": ["l1"]}),
        (["colour_mean", "energy"], {"colour mean and energy": ["colour_mean", "energy"]}),
        ([], {}),
    ],
)
def test_no_loss_vanishes(names, groups, tmp_path, monkeypatch):
    lines = [{"step": step} | dict.fromkeys(names, 1.0 / step) for step in (1, 2, 3)]
    assert loss_groups(lines) == groups
    drawn = []
    plot = pictures.plot_losses

    def record(axes, metrics, title, members):
        drawn.append((title, members))
        plot(axes, metrics, title, members)

    monkeypatch.setattr(pictures, "plot_losses", record)
    loss_curves(lines, tmp_path / "losses.png")
    assert dict(drawn) == groups
    assert (tmp_path / "losses.png").exists() == bool(names)


def test_a_note_stands_below_the_pictures_and_fits():
    columns = {"x": np.zeros([2, 128, 128, 3], np.uint8)}
    plain = image_grid(columns)
    noted = image_grid(columns, "training images of X and Y: there are no others to test with")
    assert noted.height == plain.height + 24 and noted.width > plain.width
    below = np.asarray(noted)[plain.height :]
    assert below.min() < 100 and (below[:, -8:] == 255).all()  # there is text, and it ends within
