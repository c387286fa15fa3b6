"""Show the progress line of a training whose steps take so many seconds, to look at it.

python -m tools.progress_line [--seconds 0.1] [--steps 100] [--capture]

With --capture tmux shows it at 60, 80 and 120 columns, and what stood on the screen is printed.
"""

import argparse
import shutil
import subprocess
import sys
import time

from tf_cyclegan.progress import ProgressLine, log

TRACING_SECONDS = 3.0
WIDTHS = (60, 80, 120)


def show(seconds: float, steps: int) -> None:
    """The first `steps` of 20,000, the very first with what tracing takes on top."""
    log("tracing the training step, so that the first takes a while")
    text = ""
    with ProgressLine(20_000, "step") as line:
        for step in range(1, steps + 1):
            time.sleep(seconds + TRACING_SECONDS * (step == 1))
            line.update(step, text, counts=step > 1)
            text = f"epoch {step // 36 + 1}, {1 / seconds:.1f} images/s, cycle 0.112/0.098"
            text += ", discriminator 0.513/0.498, identity 0.050/0.061"


def capture(seconds: float) -> None:
    """What a terminal shows after a few steps, and a second later."""
    if not shutil.which("tmux"):
        sys.exit("error: there is no tmux: apt-get install tmux")
    for width in WIDTHS:
        command = [sys.executable, "-m", "tools.progress_line", "--seconds", str(seconds)]
        name = f"progress_line_{width}"
        new = ["tmux", "new-session", "-d", "-s", name, "-x", str(width), "-y", "6"]
        subprocess.run([*new, *command], check=True)
        time.sleep(TRACING_SECONDS + 4 + 2 * seconds)
        print(f"{width} columns, steps of {seconds:g} s")
        for _ in range(2):
            shown = subprocess.run(
                ["tmux", "capture-pane", "-p", "-t", name], capture_output=True, text=True
            )
            print(
                "  " + next(line for line in shown.stdout.splitlines() if line.startswith("step"))
            )
            time.sleep(1)
        subprocess.run(["tmux", "kill-session", "-t", name], check=True)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--capture", action="store_true")
    arguments = parser.parse_args()
    if arguments.capture:
        capture(arguments.seconds)
    else:
        show(arguments.seconds, arguments.steps)


if __name__ == "__main__":
    main()
