"""The small files of a run, and its checkpoints."""

import contextlib
import io
import json
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tf_cyclegan.commands import import_tensorflow
from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.cyclegan.settings import PRESETS
from tf_cyclegan.training.run import Run

from .damage import damaged, damaged_json, damaged_lines
from .kind import Files, Kind, write


@cache
def originals() -> Files:
    """The files of a run that has two checkpoints, with a small network's worth of tensors."""
    import_tensorflow()
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder)
        run.write_settings(PRESETS["paper"])
        run.write_data_facts({"trainA": 5, "trainB": 7})
        objects = tf.train.Checkpoint(step=tf.Variable(0), weights=tf.Variable(tf.ones([8, 8])))
        for step in (10, 20):
            run.metrics.add([{"step": step, "generator_g": 1.5, "cycle": float(step)}])
            run.evaluations.add([{"step": step, "x_to_y/paired/l1": 0.25}])
            run.save_checkpoint(objects, step, keep=2)
        (run.evaluation).mkdir()
        (run.evaluation / "metrics.json").write_text(json.dumps({"step": 20, "directions": {}}))
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def mutants(count: int, seed: int) -> Iterator[Files]:
    """Yield runs of which one file is damaged, or some are gone."""
    choices = random.Random(seed)
    whole = originals()
    for i in range(count):
        name = list(whole)[i % len(whole)]
        if choices.random() < 0.05:
            gone = {name, *choices.sample(list(whole), choices.randrange(4))}
            yield {other: content for other, content in whole.items() if other not in gone}
            continue
        if name.endswith(".jsonl"):
            content = damaged_lines(whole[name], choices)
        elif name.endswith(".json"):
            content = damaged_json(whole[name], choices)
        elif choices.random() < 0.1:
            content = choices.choice((b"", b"\0" * 300))
        else:
            content = damaged(whole[name], choices, list(whole.values()))
        yield whole | {name: content}


def read(files: Files, folder: Path) -> None:
    """Read all that going on, evaluating and exporting read."""
    write(files, folder)
    run = Run(folder)
    refused = None
    uses = (
        run.read_settings,
        run.read_data_facts,
        run.read_evaluation,
        run.metrics.last_step,
        lambda: run.metrics.cut_after(10),
        lambda: run.evaluations.cut_after(10),
        run.trained,
    )
    with contextlib.redirect_stderr(io.StringIO()):
        for use in uses:
            try:
                use()
            except UserError as error:
                refused = error
    if refused:
        raise refused


KIND = Kind(
    "run files: settings, data facts, logs, evaluation, checkpoints",
    0.1,
    mutants,
    read,
    (UserError,),
)
