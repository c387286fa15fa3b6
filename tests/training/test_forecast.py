"""What who trains without a GPU is told of the time that it takes."""

import dataclasses

import pytest

from tf_cyclegan.methods.cyclegan.settings import PRESETS
from tf_cyclegan.training.forecast import forecast


def test_what_takes_no_hour_is_not_told():
    assert forecast(PRESETS["paper"], 3599) == ""


@pytest.mark.parametrize(
    ("preset", "seconds", "words"),
    [
        (
            dataclasses.replace(PRESETS["photos"], image_size=256),
            3 * 86400,
            "this takes about 3.0 days more on the processor alone; faster would be --image-size 128 "
            "(about 40% of the time), --filters 32 (about 25% of the time), --generator unet (about "
            "33% of the time), fewer --steps, or a GPU",
        ),
        (
            PRESETS["demo"],
            4500,
            "this takes about 1.2 hours more on the processor alone; faster would be fewer --steps, "
            "or a GPU",
        ),
    ],
)
def test_what_would_be_faster(preset, seconds, words):
    assert forecast(preset, seconds) == words
