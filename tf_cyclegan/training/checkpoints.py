"""Checkpoints on disk: written whole, found by their files, verified before they are trusted."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import CannotWrite, UserError
from ..files import beside_of, disk_errors, flush, flush_names, remove, write_file
from ..progress import log


@dataclass(frozen=True)
class Checkpoint:
    """What a run was after `step` steps.

    Attributes:
        step: Steps done.
        prefix: Path that all its files begin with, which is what TensorFlow takes.
    """

    step: int
    prefix: str

    def damage(self) -> str | None:
        """Why it cannot be read, in TensorFlow's words; None if it can.

        Every tensor is read, since TensorFlow compares its sum only then.
        """
        import tensorflow as tf

        if not Path(f"{self.prefix}.index").is_file():
            return "it has no index"
        try:
            reader = tf.train.load_checkpoint(self.prefix)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except MemoryError:
            raise
        except Exception as error:  # IndexError, ValueError, OpError, ...: whatever it meets
            return first_line(error)
        return None

    def restore(self, objects) -> None:
        """Give a `tf.train.Checkpoint`'s objects what they were.

        Raises:
            UserError: Something of them is not in it, or has another shape.
        """
        try:
            status = objects.read(self.prefix)
            status.assert_existing_objects_matched()
        except (AssertionError, ValueError) as error:
            raise UserError(
                f"{self.prefix} holds other networks than the settings of its run say "
                f"({first_line(error)}); put back the config.json that it was trained with"
            ) from error
        status.expect_partial()


def find_checkpoints(folder: Path) -> list[Checkpoint]:
    """All checkpoints of which there are files in a folder, whole or not, the newest first."""
    names = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    matches = (re.fullmatch(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)", name) for name in names)
    steps = {int(match[1]) for match in matches if match}
    return [Checkpoint(step, str(folder / f"ckpt-{step}")) for step in sorted(steps, reverse=True)]


def newest_readable(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that can be read; damaged ones before it are told of. None: no files.

    Raises:
        UserError: There are checkpoints, and none can be read.
    """
    damaged = []
    for checkpoint in find_checkpoints(folder):
        reason = checkpoint.damage()
        if reason is None:
            if damaged:
                log(f"{'; '.join(damaged)}; taking {Path(checkpoint.prefix).name}")
            return checkpoint
        damaged.append(f"{checkpoint.prefix} cannot be read ({reason})")
    if damaged:
        raise UserError(
            f"{'; '.join(damaged)}; and there is no other checkpoint: put back a copy of one, or "
            "begin in another folder"
        )
    return None


def save_checkpoint(folder: Path, objects, step: int, keep: int) -> Checkpoint:
    """Write a checkpoint, and when it is on the disk remove all but the `keep` newest up to it.

    Args:
        folder: Of the checkpoints.
        objects: A `tf.train.Checkpoint`.
        step: Its number.
        keep: At least 1.

    Raises:
        CannotWrite: The disk is full, read-only or otherwise refuses; earlier ones are kept.
    """
    prefix = folder / f"ckpt-{step}"
    part = beside_of(prefix)
    with disk_errors(prefix), tensorflow_disk_errors(prefix):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            objects.write(str(part / prefix.name))
            flush(part)
            # An index makes a checkpoint count: it goes first and comes last.
            Path(f"{prefix}.index").unlink(missing_ok=True)
            for file in sorted(part.iterdir(), key=lambda file: file.suffix == ".index"):
                file.replace(folder / file.name)
            flush_names(folder)
        finally:
            remove(part)
        up_to_it = [c for c in find_checkpoints(folder) if c.step <= step]
        _write_state(folder, up_to_it[:keep])
        for checkpoint in up_to_it[keep:]:
            for file in sorted(folder.glob(f"ckpt-{checkpoint.step}.*"), reverse=True):
                file.unlink()
    return Checkpoint(step, str(prefix))


def _write_state(folder: Path, newest_first: list[Checkpoint]) -> None:
    """The small file that TensorFlow's own functions look at to find the newest one."""
    names = [Path(checkpoint.prefix).name for checkpoint in newest_first]
    lines = [f'model_checkpoint_path: "{names[0]}"\n']
    lines += [f'all_model_checkpoint_paths: "{name}"\n' for name in reversed(names)]
    write_file(folder / "checkpoint", "".join(lines))


@contextmanager
def tensorflow_disk_errors(path: Path) -> Iterator[None]:
    """Turn what TensorFlow says against writing `path` into a sentence."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        raise CannotWrite(path, first_line(error)) from error


def first_line(error: Exception) -> str:
    """What an exception says, without the operation and the temporary file that TensorFlow names."""
    text = re.sub(r"\{\{.*?\}\} |^/.*; | \[Op:.*", "", str(error).strip().split("\n")[0])
    return text[:200] or type(error).__name__
