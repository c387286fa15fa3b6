"""Segmentation scores on matrices that were worked out by hand."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tf_cyclegan.errors import NotMeasurable, UserError
from tf_cyclegan.evaluation.segmentation import (
    CITYSCAPES,
    VOID,
    classes,
    confusion_matrix,
    load_segmenter,
    nearest_labels,
    read_palette,
    scores,
)


def test_confusion_matrix_counts_truth_in_rows():
    truth = np.array([[0, 0, 1], [2, VOID, 1]])
    predicted = np.array([[0, 1, 1], [2, 0, 0]])
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, 3), expected)
    with pytest.raises(ValueError, match="0 to 1"):
        confusion_matrix(truth, predicted, 2)


@pytest.mark.parametrize(
    ("matrix", "pixel", "per_class", "iou"),
    [
        ([[5, 0], [0, 3]], 1, 1, 1),
        # Right: 3 + 1 of 6. Of class 0 3/4, of class 1 1/2. IoU 3/(4+4-3) and 1/(2+2-1).
        ([[3, 1], [1, 1]], 4 / 6, (3 / 4 + 1 / 2) / 2, (3 / 5 + 1 / 3) / 2),
        # Class 2 is never true: no accuracy, but predicting it costs IoU. Class 3 is nowhere.
        (
            [[2, 0, 2, 0], [0, 4, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
            6 / 8,
            (1 / 2 + 1) / 2,
            (2 / 4 + 1 + 0) / 3,
        ),
        ([[0, 7], [1, 0]], 0, 0, 0),
    ],
)
def test_scores(matrix, pixel, per_class, iou):
    result = scores(np.array(matrix))
    assert result == pytest.approx(
        {"pixel_accuracy": pixel, "class_accuracy": per_class, "class_iou": iou}
    )


def test_scores_of_nothing_are_a_sentence():
    with pytest.raises(NotMeasurable, match="no pixel"):
        scores(np.zeros([3, 3], int))


def test_every_colour_is_its_own_label_and_its_neighbours_too():
    assert len(classes(CITYSCAPES)) == 19
    colours = np.array(list(CITYSCAPES.values()), np.uint8)[None, None]
    expected = [*range(19), VOID]
    np.testing.assert_array_equal(
        nearest_labels(colours, CITYSCAPES, keep_void=True)[0, 0], expected
    )
    near = np.clip(colours.astype(int) + np.array([3, -2, 3]), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(nearest_labels(near, CITYSCAPES)[0, 0, :19], expected[:19])
    # As a prediction, black is the darkest of the classes: truck, (0, 0, 70).
    assert nearest_labels(colours, CITYSCAPES)[0, 0, 19] == 14


def test_palettes_from_files(tmp_path):
    path = tmp_path / "palette.json"
    path.write_text(json.dumps({"land": [0, 255, 0], "sea": [0, 0, 255]}))
    labels = nearest_labels(np.array([[[[10, 20, 200]]]], np.uint8), read_palette(str(path)), True)
    assert labels.tolist() == [[[1]]]
    for text, words in (
        ("[1]", "not a palette"),
        ('{"a": [1, 2]}', "three numbers"),
        ("{}", "no class"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            read_palette(str(path))
    with pytest.raises(UserError, match="cannot read the palette"):
        read_palette(str(tmp_path / "missing.json"))


class Reddest(tf.Module):
    """Scores of two classes: red, and not red."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    def scores(self, images):
        red = tf.cast(images[..., :1], tf.float32)
        return {"scores": tf.concat([red, 255 - red], axis=-1)}

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def labels(self, images):
        return {"labels": tf.cast(images[:, ::2, ::2, 0] < 127.5, tf.int64)}


def test_segmenters(tmp_path):
    module = Reddest()
    tf.saved_model.save(module, str(tmp_path / "scores"), {"serving_default": module.scores})
    tf.saved_model.save(module, str(tmp_path / "small"), {"serving_default": module.labels})
    images = np.zeros([9, 4, 4, 3], np.uint8)
    images[:, :2, :, 0] = 200
    labels = load_segmenter(tmp_path / "scores")(images)
    np.testing.assert_array_equal(labels, images[..., 0] == 0)
    with pytest.raises(UserError, match="must keep the size"):
        load_segmenter(tmp_path / "small")(images)
    with pytest.raises(UserError, match="is not a SavedModel"):
        load_segmenter(tmp_path)
