import numpy as np
import tensorflow as tf

from tf_cyclegan.optimization.draws import normal_draws


def test_it_is_normal():
    """By its moments, and by the shares within 1, 2 and 3 deviations."""
    noise = normal_draws([100, 100, 100], [1, 2], "float64").numpy()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        np.testing.assert_allclose((noise**power).mean(), moment, atol=0.02)
    for deviations, share in ((1, 0.6827), (2, 0.9545), (3, 0.9973)):
        np.testing.assert_allclose((np.abs(noise) < deviations).mean(), share, atol=2e-3)


def test_a_seed_gives_the_same_with_xla_and_without():
    def draw(first):
        return normal_draws([4, 8, 8, 3], [first, 2], "float32")

    plain, compiled = (tf.function(draw, jit_compile=jit)(tf.constant(1)) for jit in (False, True))
    np.testing.assert_allclose(plain, compiled, rtol=0, atol=1e-5)
    assert np.abs(plain - draw(2)).max() > 1
