"""What every run and every page can ask of each method, whichever it is."""

import dataclasses

import keras
import numpy as np
import pytest
from trainings import quick_trainings

import tf_cyclegan as cg
from tf_cyclegan.methods import methods
from tf_cyclegan.training.run import Run
from tf_cyclegan.translation.demo_page import load_model

SMALL = {
    "image_size": 32,
    "load_size": 36,
    "filters": 2,
    "discriminator_filters": 2,
    "pool_size": 2,
    "search_steps": 2,
    "feature_layer": "conv",
    "feature_size": 20,
    "batch_size": 2,
    "steps": 2,
    "sample_every": 2,
    "log_every": 1,
    "jit": "off",
}


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """The file of a network for features."""
    images = keras.Input([None, None, 3])
    path = tmp_path_factory.mktemp("features") / "network.keras"
    keras.Model(images, keras.layers.Conv2D(4, 3, name="conv")(images)).save(path)
    return str(path)


@pytest.mark.parametrize("name", methods())
def test_it_trains_in_bfloat16_computes_twice_and_has_a_page(
    name, features, image_folder, paired_folder, tmp_path
):
    method = methods()[name]
    preset = method.presets["demo"]
    data = tmp_path / "cats2dogs"
    data.symlink_to(paired_folder if method.paired else image_folder)
    wanted = SMALL | {"dataset": str(data), "run_dir": str(tmp_path / "run")}
    wanted |= {"generator": "unet", "unet_levels": 3, "features": features}
    if hasattr(preset, "nce_layers"):  # the methods that take residual generators alone
        wanted |= {"generator": "resnet1", "nce_layers": "4,8,12"}
    wanted |= {"precision": "mixed_bfloat16", "remat": name != "cogan", "direction": "b_to_a"}
    own = {field.name for field in dataclasses.fields(preset)}
    config = dataclasses.replace(preset, **{key: wanted[key] for key in wanted.keys() & own})
    with quick_trainings():
        folder = cg.train(config)
    lines = Run(folder).metrics.lines()
    assert [line["step"] for line in lines] == [1, 2]
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert lines[0] != lines[1] | {"step": 1}
    assert Run(folder).sample(2).exists()

    model = load_model(folder)
    labels = {"x_to_y": "cats → dogs", "y_to_x": "dogs → cats"}
    if "direction" in own:  # the other way round
        labels = {"x_to_y": "dogs → cats"}
    assert model.directions == {direction: labels[direction] for direction in method.directions}
    image = np.random.default_rng(0).integers(0, 256, [1, 30, 41, 3], np.uint8)
    for translate in model.translate.values():
        translated = translate(image)
        assert translated.dtype == np.uint8 and translated.shape == image.shape
        assert np.any(translated != image)
