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
    start = clocks()
    function = getattr(importlib.import_module(module), function)
    libraries_bytes = peak_bytes()
    run = function(*json.loads(arguments))
    answer(answers, start, libraries_bytes)
    for line in sys.stdin:
        count = json.loads(line)
        start = clocks()
        result = run(count)
        answer(answers, start, libraries_bytes, result)


def clocks() -> tuple[float, float]:
    """Seconds that have passed, and those that all cores have worked for this process."""
    return time.perf_counter(), time.process_time()


def peak_bytes() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT


def answer(answers, start: tuple[float, float], libraries_bytes: int, result=None) -> None:
    """Write how long something took, the most memory used so far, and what it gave."""
    seconds, cpu_seconds = (now - then for now, then in zip(clocks(), start, strict=True))
    facts = {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "libraries_bytes": libraries_bytes,
        "peak_bytes": peak_bytes(),
        "result": result,
    }
    answers.write(json.dumps(facts) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
