"""Kill a training again and again and see that nothing is lost: `make chaos`.

python tests/training/chaos.py KILLS

Trains, exports and evaluates a small run with the package's own commands, kills them with SIGKILL at
random moments, half of these while something is being written, and starts them again. After every kill
the exports and the evaluation are whole or absent; in the end weights, logs, exports and numbers are
those of a run that nobody disturbed, bit for bit. Writes what it found to docs/robustness.md.
"""

import datetime
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# Imported once and forked from, which saves most of a start. The parent itself runs no operation.
import tensorflow as tf  # noqa: E402
from checkpoints import checkpoint_hash  # noqa: E402
from conftest import write_images  # noqa: E402

from tf_cyclegan import evaluate, export, train  # noqa: E402
from tf_cyclegan.commands import run_command  # noqa: E402
from tf_cyclegan.files import leftovers  # noqa: E402

PAGE = ROOT / "docs" / "robustness.md"
BEGIN = "<!-- chaos: written by tests/training/chaos.py -->"
END = "<!-- end of chaos -->"
STEPS = 24
SETTINGS = (
    "--image-size 32 --load-size 36 --generator resnet1 --filters 2 --discriminator-filters 2 "
    f"--adversarial-loss lsgan --pool-size 4 --batch-size 2 --steps {STEPS} --checkpoint-every 2 "
    "--sample-every 6 --log-every 1 --jit off"
).split()


def commands(data: Path, run: Path) -> dict[str, tuple]:
    """The three commands of a run in their order, as functions and their options."""
    return {
        "train": (train.main, ["--dataset", str(data), "--run-dir", str(run), *SETTINGS]),
        "export": (export.main, ["--run", str(run)]),
        "evaluate": (evaluate.main, ["--run", str(run)]),
    }


def start(main, arguments) -> int:
    """Fork a process that runs a command; its number."""
    process = os.fork()
    if process == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(log, 2)
        code = 1
        try:
            run_command(lambda: main(arguments))
            code = 0
        except SystemExit as exit_:
            code = exit_.code or 0
        finally:
            if code == 1:
                import traceback

                traceback.print_exc()
            os._exit(code)
    return process


def in_a_process(function, *arguments):
    """What a function returns when another process calls it, as JSON can hold it."""
    readable, writable = os.pipe()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.write(writable, json.dumps(function(*arguments)).encode())
            code = 0
        finally:
            if code:
                import traceback

                traceback.print_exc()
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable, "rb") as file:
        answer = file.read()
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    return json.loads(answer)


def wait(process: int) -> int:
    """Wait for a command to end well: the seconds that it took."""
    begin = time.monotonic()
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code == 0, f"a command ended with {code}: {LOG.read_text()}"
    return time.monotonic() - begin


def is_writing(run: Path) -> bool:
    """Whether something is being written in a run's folder just now."""
    folders = [run, *(run / name for name in ("checkpoints", "saved_model", "samples"))]
    return any(leftovers(folder) for folder in folders if folder.is_dir())


def kill_at_random(process: int, run: Path, longest: float, rng: random.Random) -> str | None:
    """Kill a command at a random moment: at which kind of moment; None if it had ended well."""
    until = time.monotonic() + rng.random() * longest
    at_a_write = rng.random() < 0.5
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            assert code == 0, f"a command ended with {code}: {LOG.read_text()}"
            return None
        if time.monotonic() >= until:
            writes = is_writing(run)
            if writes or not at_a_write:
                if writes:
                    time.sleep(rng.random() * 0.02)
                os.kill(process, signal.SIGKILL)
                status = os.waitpid(process, 0)[1]
                if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
                    return None
                return "while writing" if writes else "between writes"
        time.sleep(0.0005)


def fingerprint(run: Path) -> dict[str, str]:
    """What must be the same: weights, logs, exported weights, samples, numbers."""
    from tf_cyclegan.training.run import Run

    result = {"checkpoint": checkpoint_hash(run)}
    files = [Run(run).metrics.path, *sorted((run / "samples").glob("*.png"))]
    for path in files:
        result[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    for direction in ("x_to_y", "y_to_x"):
        result[direction] = tensors_hash(run / "saved_model" / direction)
    numbers = Run(run).read_evaluation()["directions"]
    result["evaluation"] = hashlib.sha256(json.dumps(numbers).encode()).hexdigest()
    return result


def tensors_hash(saved_model: Path) -> str:
    """One hash over all weights of a SavedModel; all of them can be read."""
    assert (saved_model / "saved_model.pb").stat().st_size > 0
    reader = tf.train.load_checkpoint(str(saved_model / "variables" / "variables"))
    digest = hashlib.sha256()
    for name in sorted(reader.get_variable_to_shape_map()):
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH":
            digest.update(name.encode() + reader.get_tensor(name).tobytes())
    return digest.hexdigest()


def whole_or_absent(run: Path) -> list[str]:
    """See that what is there is whole: the names of what is there."""
    there = []
    for direction in ("x_to_y", "y_to_x"):
        if (run / "saved_model" / direction).exists():
            tensors_hash(run / "saved_model" / direction)
            there.append(direction)
    evaluation = run / "evaluation"
    if evaluation.exists():
        json.loads((evaluation / "metrics.json").read_text())
        assert "</html>" in (evaluation / "index.html").read_text()
        for folder in ("x_to_y", "y_to_x", "x_to_y_cycled", "y_to_x_cycled"):
            assert len(list((evaluation / folder).iterdir())) == 4
        there.append("evaluation")
    return there


def main(kills: int) -> None:
    """Kill `kills` times, and write down what came of it."""
    rng = random.Random(0)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tf_cyclegan_chaos_") as temporary:
        global LOG
        folder = Path(temporary)
        LOG = folder / "log"
        for seed, split in enumerate(("trainA", "trainB", "testA", "testB")):
            write_images(folder / "data" / split, 4, seed=seed)
        seconds = {
            name: wait(start(*command))
            for name, command in commands(folder / "data", folder / "whole").items()
        }
        expected = in_a_process(fingerprint, folder / "whole")
        print(f"undisturbed: {seconds}", flush=True)

        counts, runs = Counter(), 0
        while counts.total() < kills:
            run = folder / f"run{runs}"
            for name, command in commands(folder / "data", run).items():
                # Every command is begun often enough to be killed in all its parts.
                left = kills if name == "train" else 2
                while True:
                    process = start(*command)
                    if counts.total() == kills or not left:
                        wait(process)
                        break
                    moment = kill_at_random(process, run, seconds[name], rng)
                    if moment is None:
                        break
                    left -= 1
                    counts[f"{name}, {moment}"] += 1
                    in_a_process(whole_or_absent, run)
                    print(f"{counts.total()} kills: {dict(counts)}", flush=True)
            assert in_a_process(fingerprint, run) == expected, f"run {runs} differs"
            left_behind = [str(path) for path in run.rglob(".*")]
            assert not left_behind, left_behind
            runs += 1
            shutil.rmtree(run)
            print(f"{runs} runs ended with the same bits", flush=True)
    write_down(counts, runs, time.monotonic() - begin)


def write_down(counts: Counter, runs: int, seconds: float) -> None:
    """Put the result into the page, between its marks."""
    rows = "\n".join(f"| {what} | {count} |" for what, count in sorted(counts.items()))
    text = (
        f"{BEGIN}\n"
        f"Last run on {datetime.date.today()}, {seconds / 60:.0f} minutes with TensorFlow "
        f"{tf.__version__}: {counts.total()} kills of {runs} runs of {STEPS} steps. After every "
        "kill the exports and the evaluation were whole or absent. Every run ended with the "
        "weights, logs, sample pictures, exports and numbers of one that nobody disturbed, bit for "
        "bit, and left nothing half-written behind.\n\n"
        f"| killed | times |\n|---|---|\n{rows}\n{END}"
    )
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + text + after)
    print(text)


if __name__ == "__main__":
    main(int(sys.argv[1]))
