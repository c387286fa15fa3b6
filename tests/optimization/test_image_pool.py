import numpy as np
import tensorflow as tf

from tf_cyclegan.optimization.image_pool import ImagePool


def numbered(*numbers):
    """1x1 images that are nothing but their number."""
    return tf.reshape(tf.constant(numbers, tf.float32), [-1, 1, 1, 1])


def numbers(images):
    return np.ravel(images).tolist()


def test_a_filling_pool_returns_what_it_stores():
    pool = ImagePool(3, (1, 1, 1))
    assert numbers(pool.exchange(numbered(1, 2), [False, False], [0, 0])) == [1, 2]
    assert pool.count.numpy() == 2
    assert numbers(pool.exchange(numbered(3), [False], [0])) == [3]
    assert numbers(pool.images) == [1, 2, 3]


def test_a_full_pool_keeps_or_exchanges():
    pool = ImagePool(2, (1, 1, 1))
    pool.exchange(numbered(1, 2), [True, True], [0, 0])
    assert numbers(pool.exchange(numbered(3), [True], [1])) == [3]
    assert numbers(pool.images) == [1, 2]
    assert numbers(pool.exchange(numbered(4), [False], [1])) == [2]
    assert numbers(pool.images) == [1, 4]


def test_images_of_one_batch_meet_in_order():
    pool = ImagePool(2, (1, 1, 1))
    pool.exchange(numbered(1), [True], [0])
    # The first fills the pool, the second takes its place at once, the third the second's.
    assert numbers(pool.exchange(numbered(2, 3, 4), [False] * 3, [1, 1, 1])) == [2, 2, 3]
    assert numbers(pool.images) == [1, 4]


def test_batches_are_exchanged_as_image_after_image_would_be():
    rng = np.random.default_rng(0)
    for size in (1, 3, 6):
        pool, slow, count = ImagePool(size, (1, 1, 1)), [0.0] * size, 0
        for first in range(0, 100, 5):
            images = list(range(first, first + 5))
            keep, slots = rng.random(5) < 0.5, rng.integers(0, size, 5).astype(np.int32)
            expected = []
            for image, kept, slot in zip(images, keep, slots, strict=True):
                if count < size:
                    expected.append(image)
                    slow[count] = image
                    count += 1
                elif kept:
                    expected.append(image)
                else:
                    expected.append(slow[slot])
                    slow[slot] = image
            assert numbers(pool.exchange(numbered(*images), keep, slots)) == expected
            assert numbers(pool.images) == slow and pool.count.numpy() == count


def test_choices_follow_from_the_seed():
    def play(seed):
        pool = ImagePool(5, (1, 1, 1))
        images = [numbered(i) for i in range(40)]
        return [numbers(pool.query(x, [seed, i])) for i, x in enumerate(images)]

    assert play(1) == play(1) != play(2)


def test_half_of_the_images_come_back_as_they_are():
    pool = ImagePool(10, (1, 1, 1))
    query = tf.function(pool.query)
    same = 0
    for step in range(1000):
        images = numbered(2 * step, 2 * step + 1)
        returned = query(images, tf.constant([3, step]))
        if step >= 5:
            same += sum(a == b for a, b in zip(numbers(images), numbers(returned), strict=True))
    # 1990 draws at 1/2, plus the few that meet themselves: four standard deviations are 89.
    assert abs(same - 995) < 89 + 10


def test_xla_compiles_a_pool_once():
    # XLA takes the beginning of a slice for a constant, and compiles anew for every other one.
    pool = ImagePool(3, (1, 1, 1))
    images, seed = numbered(0, 1), tf.constant([0, 0])
    graph = tf.function(pool.query).get_concrete_function(images, seed).graph
    functions = [graph, *(graph._get_function(name).graph for name in graph._functions)]
    slices = [op for g in functions for op in g.get_operations() if "Slice" in op.type]
    assert all(edge.op.type == "Const" for op in slices for edge in op.inputs[1:])
