"""What a method is to the rest of the house. TensorFlow is not needed to read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..settings import RunSettings

if TYPE_CHECKING:
    import tensorflow as tf

    from ..optimization.replicas import Replicas


Direction = Literal["x_to_y", "y_to_x"]
Weights = Literal["average", "raw"]  # of a translator: the moving average of a network, or its own


class Trainable(Protocol):
    """A method as it is trained: its networks, and what a step does with them.

    Attributes:
        step: int64 variable, the number of training steps done.
        checkpoint_items: All that a step reads, by the names that checkpoints have for it.
        translators: By direction, "x_to_y", "y_to_x" or both: a Keras model, or a `tf.Module` that
            can be called, from float32 `[N, H, W, 3]` in [-1, 1] to the same. Where the settings
            say `has_averages`, they are moving averages of what is trained.
    """

    step: tf.Variable
    checkpoint_items: dict[str, Any]
    translators: Mapping[Direction, Callable]

    def train_step(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """Do one step on a batch of each domain; return what is to be logged, as scalars."""

    def samples(self, real_x, real_y) -> dict[str, tf.Tensor]:
        """What a sample picture shows of a batch of each domain: a heading and images a column."""


@dataclass(frozen=True)
class Method:
    """A way to learn translations: all that the loop, the exports, the evaluation and the commands ask.

    Attributes:
        settings: Its settings, a frozen dataclass on top of `RunSettings` whose class attribute
            `method` is the method's name.
        presets: Settings by name, the first of them the default. `demo`, where there is one, is the
            default for the embedded data sets.
        build: Makes it, from settings, the length of the run in steps (None: to translate alone,
            without optimizers) and the replicas that do a step together (None: one).
        about: What it is, in few words, for --help.
        directions: Of its translators.
        paired: Whether real_x[i] and real_y[i] are to be a pair.
    """

    settings: type[RunSettings]
    presets: Mapping[str, RunSettings]
    build: Callable[[RunSettings, int | None, Replicas | None], Trainable]
    about: str
    directions: tuple[Direction, ...] = ("x_to_y", "y_to_x")
    paired: bool = False

    @property
    def name(self) -> str:
        return self.settings.method
