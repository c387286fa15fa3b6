"""How well pixels keep their class: the paper's FCN score, and its reverse for label maps.

Zhu, Park, Isola, Efros 2017, https://arxiv.org/abs/1703.10593, section 5.1.1, with the metrics of
Cordts et al. 2016, https://arxiv.org/abs/1604.01685.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from ..errors import NotMeasurable, UserError

VOID = -1  # the label of pixels that count for nothing
BATCH = 8

# The 19 classes that Cityscapes is judged on, in the order of their train ids.
CITYSCAPES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
    "void": (0, 0, 0),
}

Palette = Mapping[str, tuple[int, int, int]]


def read_palette(name: str) -> Palette:
    """The palette "cityscapes", or one from a JSON file: {"sky": [70, 130, 180], ...}.

    The class "void", if there is one, marks pixels of true label maps that count for nothing.

    Raises:
        UserError: There is no such file, or it is no palette.
    """
    if name == "cityscapes":
        return CITYSCAPES
    path = Path(name)
    try:
        palette = {key: tuple(colour) for key, colour in json.loads(path.read_text()).items()}
    except OSError as error:
        raise UserError(f"cannot read the palette {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f'{path} is not a palette, {{"sky": [70, 130, 180], ...}}') from error
    for key, colour in palette.items():
        if len(colour) != 3 or not all(isinstance(c, int) and 0 <= c <= 255 for c in colour):
            raise UserError(f"{path}: the colour of {key} must be three numbers from 0 to 255")
    if not classes(palette):
        raise UserError(f"{path} names no class")
    return palette


def classes(palette: Palette) -> list[str]:
    """The names of the classes, in the order of their labels: all but "void"."""
    return [name for name in palette if name != "void"]


def nearest_labels(images: np.ndarray, palette: Palette, keep_void: bool = False) -> np.ndarray:
    """Give every pixel the class whose colour is nearest, by Euclidean distance in RGB.

    Args:
        images: uint8 `[N, H, W, 3]`.
        palette: Colours by class.
        keep_void: Pixels nearest to the colour of "void" become `VOID`, as true label maps need it;
            otherwise they take the nearest of the classes, as predictions must.

    Returns:
        int32 `[N, H, W]`.
    """
    names = classes(palette)
    if keep_void and "void" in palette:
        names = [*names, "void"]
    colours = np.array([palette[name] for name in names], np.int32)
    labels = np.empty(images.shape[:3], np.int32)
    for image, label in zip(images, labels, strict=True):
        distances = [np.square(image - colour).sum(axis=-1) for colour in colours]
        label[...] = np.argmin(distances, axis=0)
    labels[labels == len(classes(palette))] = VOID
    return labels


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, count: int) -> np.ndarray:
    """Count the pixels of every true class (row) by predicted class (column).

    Args:
        truth: Labels of any shape; `VOID` is left out.
        predicted: Labels of the same shape, from 0 to `count` - 1.
        count: Of classes.

    Returns:
        int64 `[count, count]`.

    Raises:
        ValueError: A label is out of range.
    """
    truth, predicted = truth.ravel(), predicted.ravel()
    known = truth != VOID
    truth, predicted = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    for labels in (truth, predicted):
        if labels.size and (labels.min() < 0 or labels.max() >= count):
            raise ValueError(f"labels must be from 0 to {count - 1}")
    return np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)


def scores(confusion: np.ndarray) -> dict[str, float]:
    """The paper's three numbers from a confusion matrix (row: truth), each from 0 to 1.

    Returns:
        "pixel_accuracy": the share of pixels that are right; "class_accuracy": the share of each
        true class that is right, averaged over the classes that occur in the truth; "class_iou":
        intersection over union, averaged over the classes that occur in truth or prediction.

    Raises:
        NotMeasurable: No pixel was counted.
    """
    if not confusion.any():
        raise NotMeasurable("the true label maps have no pixel of a class of the palette")
    right = np.diag(confusion).astype(np.float64)
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    union = true + predicted - right
    return {
        "pixel_accuracy": float(right.sum() / true.sum()),
        "class_accuracy": float((right[true > 0] / true[true > 0]).mean()),
        "class_iou": float((right[union > 0] / union[union > 0]).mean()),
    }


def load_segmenter(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load a segmentation SavedModel.

    Args:
        path: Its signature serving_default takes uint8 images `[N, H, W, 3]`, or float images in
            [0, 255], and returns labels `[N, H, W]` or scores `[N, H, W, classes]`.

    Returns:
        A function from uint8 images to int labels.

    Raises:
        UserError: There is no SavedModel, or none of this kind.
    """
    import tensorflow as tf

    if not (path / "saved_model.pb").is_file():
        raise UserError(f"--segmenter {path} is not a SavedModel: it has no saved_model.pb")
    model = tf.saved_model.load(str(path))
    signature = model.signatures.get("serving_default")
    inputs = signature.structured_input_signature[1] if signature else {}
    if len(inputs) != 1 or len(signature.structured_outputs) != 1:
        raise UserError(f"{path} must have a serving_default of one image tensor to one of labels")
    ((name, spec),) = inputs.items()

    def segment(images: np.ndarray) -> np.ndarray:
        parts = []
        for i in range(0, len(images), BATCH):
            batch = {name: tf.cast(images[i : i + BATCH], spec.dtype)}
            outputs = model.signatures["serving_default"](**batch)
            (labels,) = (output.numpy() for output in outputs.values())
            labels = labels.argmax(axis=-1) if labels.ndim == 4 else labels
            if labels.shape != images[i : i + BATCH].shape[:3]:
                raise UserError(
                    f"the segmenter {path} made labels of shape {labels.shape[1:]} of images of "
                    f"{images.shape[1:3]}; it must keep the size"
                )
            parts.append(labels)
        return np.concatenate(parts)

    return segment
