import keras
import numpy as np
import pytest

from tf_cyclegan.optimization.adam import FusedAdam


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_against_its_formula(dtype):
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.125, 0.0625])
    optimizer = FusedAdam(rate, beta_1=0.5)
    variables = [keras.Variable(np.ones(shape), dtype=dtype) for shape in ([3], [2, 2])]
    optimizer.build(variables)
    rng = np.random.default_rng(0)
    expected = [np.ones([3]), np.ones([2, 2])]
    moments = [(0, 0), (0, 0)]
    for step in range(1, 7):
        gradients = [rng.normal(size=value.shape) for value in expected]
        optimizer.apply([keras.ops.convert_to_tensor(g, dtype) for g in gradients], variables)
        for i, gradient in enumerate(gradients):
            m, v = moments[i]
            m, v = 0.5 * m + 0.5 * gradient, 0.999 * v + 0.001 * gradient**2
            moments[i] = m, v
            # "epsilon hat": beside the root of the uncorrected second moment, as Keras has it.
            corrected = (
                (0.125 if step <= 3 else 0.0625) * np.sqrt(1 - 0.999**step) / (1 - 0.5**step)
            )
            expected[i] = expected[i] - corrected * m / (np.sqrt(v) + 1e-7)
    tolerance = 1e-6 if dtype == "float32" else 1e-12
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), value, rtol=tolerance)
    assert int(optimizer.iterations) == 6


def test_adam_has_the_variables_of_keras_s_and_serialises():
    variables = [keras.Variable([1.0, 2.0], name="w")]
    ours, kerass = FusedAdam(0.1), keras.optimizers.Adam(0.1)
    for optimizer in (ours, kerass):
        optimizer.build(variables)
    names = [[v.path.split("/")[1] for v in optimizer.variables] for optimizer in (ours, kerass)]
    assert names[0] == names[1]
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(ours))
    assert type(copy) is FusedAdam and copy.get_config() == ours.get_config()
    with pytest.raises(ValueError, match="amsgrad"):
        FusedAdam(amsgrad=True)
