"""One contender in its own process: does what it is told over a pipe, a line of JSON at a time.

    python -m benchmarks.worker benchmarks.ours train_step '["resnet9_128"]'

The function is called once with the arguments and returns `run(count)`, which does `count` pieces of
work and returns when they are finished. Started by `benchmarks.turns`, not by hand; it imports neither
TensorFlow nor PyTorch, so that each contender has only its own.
"""

import importlib
import json
import os
import resource
import sys
import time

BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def main() -> None:
    """Set up, then answer until the pipe is closed."""
    module, function, arguments = sys.argv[1:4]
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    start = time.perf_counter()
    run = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    answer(answers, time.perf_counter() - start)
    for line in sys.stdin:
        count = json.loads(line)
        start = time.perf_counter()
        result = run(count)
        answer(answers, time.perf_counter() - start, result)


def answer(answers, seconds: float, result=None) -> None:
    """Write how long something took, the most memory used so far, and what it gave."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT
    answers.write(json.dumps({"seconds": seconds, "peak_bytes": peak, "result": result}) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
