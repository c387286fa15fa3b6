"""How long does it take from the command to the first finished step?

    python -m benchmarks.startup [--cases resnet9_128 unet_256 demo_64] [--json FILE]

Ours is `python -m tf_cyclegan.train`, from the start of the process to its first line of losses:
libraries, reading every image, networks, tracing, compiling, the step. The tutorial's is a program that
imports TensorFlow, prepares a batch of the same files, builds the same networks and does its step. Then
what must be quick: importing the package, and --help.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

from tf_cyclegan.commands import run_command
from tf_cyclegan.progress import ProgressLine

from .cases import case
from .pictures import write_pictures
from .report import Setting, add_cases, number, parser, print_header, print_row
from .turns import ROOT, Contender, Ratio, child_environment

COMMANDS = {
    "nothing: `python -c ''`": ["-c", ""],
    "`import tf_cyclegan`": ["-c", "import tf_cyclegan"],
    "`python -m tf_cyclegan.train --help`": ["-m", "tf_cyclegan.train", "--help"],
    "`import tensorflow`, for comparison": ["-c", "import tensorflow"],
}


def ours(case_name: str, data: Path) -> float:
    """Train by the command until the first line of losses; seconds until then."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as output:
        run = Path(scratch, "run")
        run.mkdir()
        config = replace(case(case_name), dataset=str(data), run_dir=str(run))
        (run / "config.json").write_text(config.to_json())
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "tf_cyclegan.train", "--run-dir", str(run)],
            cwd=ROOT,
            env=child_environment(),
            stdout=output,
            stderr=output,
        )
        try:
            while not _has_line(run / "metrics.jsonl"):
                if process.poll() is not None:
                    output.seek(0)
                    said = output.read().decode(errors="replace")
                    raise RuntimeError(f"the training ended with {process.returncode}:\n{said}")
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


def _has_line(path: Path) -> bool:
    return path.exists() and b"\n" in path.read_bytes()


def tutorial(case_name: str, data: Path) -> float:
    """Start a process that does one step in the tutorial's way; seconds until it has."""
    start = time.perf_counter()
    contender = Contender("benchmarks.tutorial", "first_step", case_name, str(data))
    seconds = time.perf_counter() - start
    contender.close()
    return seconds


def measure(case_name: str, data: Path, setting: Setting) -> dict:
    """Start both, in turn.

    Returns:
        Medians of seconds, and the ratio.
    """
    times = {"ours": [], "tutorial": []}
    with ProgressLine(2 * setting.options.rounds, case_name) as line:
        line.update(0)
        for _ in range(setting.options.rounds):
            for name, start in (("ours", ours), ("tutorial", tutorial)):
                times[name].append(start(case_name, data))
                line.update(line.done + 1, name)
    ratio = Ratio.of(times["ours"], times["tutorial"])
    return {
        "case": case_name,
        "ours_s": median(times["ours"]),
        "tutorial_s": median(times["tutorial"]),
        "spread": ratio.spread,
        "ratios": {"tutorial": vars(ratio)},
        "machine": setting.machine,
    }


def command_seconds(arguments: list[str], rounds: int) -> list[float]:
    """Run a Python command some times: seconds of each."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=child_environment(),
            capture_output=True,
            check=True,
        )
        times.append(time.perf_counter() - start)
    return times


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = parser(__doc__, rounds=3, torch=False)
    options.add_argument("--images", type=int, default=100, help="files a domain (100)")
    add_cases(options)
    setting = Setting.of(options.parse_args(arguments))
    print_header("case", "ours, s", "tutorial, s", "share of the tutorial's")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        write_pictures(data, setting.options.images)
        for name in setting.options.cases:
            result = measure(name, data, setting)
            results.append(result)
            times = (number(result[f"{whose}_s"]) for whose in ("ours", "tutorial"))
            print_row(name, *times, Ratio(**result["ratios"]["tutorial"]).percent)
            setting.save(results)
    print()
    print_header("command", "s", "from", "to")
    for name, command in COMMANDS.items():
        times = command_seconds(command, setting.options.rounds)
        print_row(
            name, *(number(seconds, 2) for seconds in (median(times), min(times), max(times)))
        )
        results.append({"command": name, "seconds": median(times), "machine": setting.machine})
        setting.save(results)


if __name__ == "__main__":
    run_command(main)
