"""Judge a translator: `python -m tf_cyclegan.evaluate --run runs/emoji`."""

import json

from .commands import import_tensorflow, parse, run_command
from .evaluation.run_evaluation import Options, check, check_places, evaluate
from .progress import log


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.evaluate`."""
    options = parse(Options, arguments, "evaluate")
    check(options)
    check_places(options)
    import_tensorflow()
    folder = evaluate(options)
    written = json.loads((folder / "metrics.json").read_text())
    results = written["directions"]
    for direction, result in results.items():
        log(f"{direction}: {_summary(result)}")
    if "fid_protocol" in written:
        log(f"FID by {written['fid_protocol']}")
    log(f"wrote {folder / 'metrics.json'} and {folder / 'index.html'}")


def _summary(result: dict) -> str:
    """The headline numbers on a line."""
    parts = []
    for name, columns in result["distribution"].items():
        if columns["translated"]:
            key, number = list(columns["translated"].items())[-1]
            told = f"{number:.2f}"
            if "std" in columns["translated"]:
                told += f" ± {columns['translated']['std']:.2f}"
            named = key if name == "published_fid" else name
            if columns["untranslated"] is not None:  # as many channels in both domains
                told += f" ({columns['untranslated'][key]:.2f} untranslated)"
            parts.append(f"{named} {told}")
    for name, columns in result.get("paired", {}).items():
        if columns["translated"] is not None:
            parts.append(f"{name} {columns['translated']:.4f}")
    for name, number in result.get("cycle", {}).items():
        if number is not None:
            parts.append(f"cycle {name} {number:.4f}")
    return ", ".join(parts)


if __name__ == "__main__":
    run_command(main)
