"""All commands under one name: `tf-cyclegan train`, `tf-cyclegan translate`, ..."""

import importlib
import sys

from .commands import run_command, version

COMMANDS = {
    "train": "train a translator between two domains of images, by any method",
    "assemble": "copy two folders or .zip files of images into one data set",
    "translate": "translate pictures or a film with a trained model",
    "demo": "open a page in the browser to try trained models on",
    "evaluate": "judge a translator: numbers, pictures, a page to look at",
    "study": "ask people which of two pictures is real, in a page on this machine",
    "compare": "train several methods with one budget, and compare them in a table and a page",
    "ablate": "train variants of the objective and compare them in a table",
    "export": "write the translators of a run as SavedModel, .keras, ONNX or LiteRT",
    "convert": "turn a PyTorch checkpoint of the authors' code into a Keras model",
}


def main() -> None:
    """The console command `tf-cyclegan`."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        run_command(lambda: importlib.import_module(f"{__package__}.{name}").main(sys.argv[2:]))
        return
    usage = "usage: tf-cyclegan COMMAND [--help | --version]\n" + "".join(
        f"\n  {command:10} {text}" for command, text in COMMANDS.items()
    )
    if name == "--version":
        print(version())
        return
    if name in ("-h", "--help"):
        print(usage)
        return
    print(f"error: there is no command {name}\n\n{usage}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
