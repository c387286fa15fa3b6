"""EfficientNet-Lite0 beside its package's own PyTorch code."""

import numpy as np

from tools.imagenet_features import SIZE, lite0, read_weights

# The ten largest logits of `picture` by efficientnet-lite-pytorch 0.1.0 in PyTorch.
EXPECTED = {
    506: 14.81479,
    646: 11.00683,
    659: 7.05798,
    616: 6.30004,
    613: 5.61155,
    723: 5.53379,
    584: 5.28938,
    115: 4.95494,
    944: 4.86938,
    417: 4.84172,
}


def picture():
    """Coloured rings: float32 `[1, 224, 224, 3]` in [-1, 1]."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    away = np.hypot(rows, columns)
    waves = [np.sin(40 * away + phase) for phase in (0, 1, 2)]
    return np.stack(waves, axis=-1)[None].astype(np.float32)


def test_the_network_sees_what_that_of_the_package_does():
    network = lite0(read_weights(), classes=True)
    (logits,) = network.predict(picture(), verbose=0)
    first = np.argsort(-logits)[: len(EXPECTED)]
    assert first.tolist() == list(EXPECTED)
    np.testing.assert_allclose(logits[first], list(EXPECTED.values()), atol=1e-4)
