"""What steps take."""

import time


class StepClock:
    """How long steps took: what happens while it is entered, as a context manager.

    Attributes:
        steps: How many were done since it was reset.
    """

    def __init__(self):
        self.reset()

    def __enter__(self):
        self._start = time.monotonic(), time.process_time()

    def __exit__(self, *_):
        self._seconds += time.monotonic() - self._start[0]
        self._processor_seconds += time.process_time() - self._start[1]

    def reset(self) -> None:
        """Begin anew."""
        self.steps, self._seconds, self._processor_seconds = 0, 0.0, 0.0

    def counted(self) -> dict[str, float]:
        """The steps and what they took; seconds of the processor are those of all cores together."""
        return {
            "steps": self.steps,
            "seconds": round(self._seconds, 3),
            "processor_seconds": round(self._processor_seconds, 3),
        }


class Speed:
    """Images a second since the first step, which traces and compiles, was done."""

    def __init__(self, batch_size: int):
        self._batch_size = batch_size

    def start(self, step: int):
        self._since, self._first = time.monotonic(), step

    def at(self, step: int) -> str:
        seconds = time.monotonic() - self._since
        return f"{(step - self._first) * self._batch_size / max(seconds, 1e-9):.1f} images/s"
