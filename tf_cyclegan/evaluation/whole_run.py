"""A run from its settings to its exports: trained, measured on the way, written for use elsewhere."""

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..commands import check_keras
from ..errors import UserError
from ..methods import method_of
from ..progress import log
from ..settings import AUTO, RunSettings
from ..training.run import Run

if TYPE_CHECKING:
    from ..data.pipeline import UnpairedImages

FEW_IMAGES = 500  # of each domain, a sixteenth of what the demo shows


def train(
    config: RunSettings,
    on_sample: Callable[[Path], None] | None = None,
    more_epochs: int | None = None,
) -> Path:
    """Train as `config` says, or go on where its run folder ended, and export both directions.

    Args:
        config: Every setting of the run.
        on_sample: Called with the path of every sample picture once it is written, as a notebook
            does to show it.
        more_epochs: Lengthen a run that has come to its end by so many. The learning rate is from
            there on that of a run of the new length, so that where it had fallen to 0 it is higher
            again, and falls to 0 by the new end.

    Returns:
        The folder of the run.

    Raises:
        UserError: The data, the folder or the settings do not allow it.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP came; a checkpoint has been written.
    """
    check_keras()
    from ..training.devices import accelerated, find_devices, keep_operations_to_a_core
    from ..training.trainer import check_run_folder

    keep_operations_to_a_core()
    devices = find_devices(config.strategy, config.batch_size)
    run = Run(config.run_folder)
    config = sized(config, run, accelerated())
    if devices.is_chief:
        check_run_folder(run, config)
    with devices.lost_workers_told(), run.held() if devices.is_chief else nullcontext():
        return _train_on(devices, config, run, on_sample, more_epochs)


def _train_on(devices, config: RunSettings, run: Run, on_sample, more_epochs) -> Path:
    from ..data.pipeline import load_dataset
    from ..training.initial_networks import load_initial_networks
    from ..training.trainer import Trainer, check_run_folder, xla_pays
    from ..translation.translator import export_run
    from .run_evaluation import training_evaluator

    if devices.is_chief:
        tell: Callable[[str], None] = log
        run.clean()
        check_run_folder(run, config)  # again, now that no other process begins here
    else:
        log(f"joined {devices.name}; the first of them tells how far they are")
        tell = _tell_nothing
    data = load_dataset(run.as_begun(config), method_of(config).paired)
    config = data.config
    total_steps = config.steps or config.epochs * data.steps_per_epoch
    if more_epochs is not None:
        config = lengthened(config, run, total_steps, more_epochs, data.steps_per_epoch)
        total_steps = config.steps or config.epochs * data.steps_per_epoch
        tell(
            f"{run} goes on to step {total_steps}; from here its learning rate is that of a run of so "
            "many steps, and its bits are not those of one that was as long from the start"
        )
    tell_about_data(data, total_steps, tell)
    with devices.scope():
        method = method_of(config).build(config, total_steps, devices.replicas(xla_pays(config)))
    if not run.has_checkpoints:
        load_initial_networks(method, config)
    evaluate = None
    if config.evaluate_every:
        evaluate = training_evaluator(config, method, (data.test_x, data.test_y))
    trainer = Trainer(method, data, config, total_steps, evaluate, on_sample, devices)

    tell(
        f"{run}: {len(data.train_x)} images of X, {len(data.train_y)} of Y, "
        f"{total_steps} steps of batch {config.batch_size} on {devices.name}"
    )
    if trainer.step >= total_steps:
        tell(
            f"the run is complete at step {trainer.step}; --more-epochs lengthens it, and another "
            "--run-dir is a new one"
        )
    elif trainer.step:
        tell(f"continuing at step {trainer.step}")
    trainer.run()
    if devices.is_chief:
        log("exporting the translators")
        for path in export_run(run.folder, run.exports()):
            log(f"wrote {path}")
    devices.all_workers(0)  # TensorFlow takes a worker that has ended before the others for lost
    return run.folder


def sized(config: RunSettings, run: Run, accelerated: bool) -> RunSettings:
    """Settings with a number for `--image-size auto`: the run's own where it has begun."""
    if config.image_size == AUTO and run.has_settings:
        return dataclasses.replace(config, image_size=run.read_settings().image_size)
    return config.sized(accelerated)


def lengthened(
    config: RunSettings, run: Run, total_steps: int, more_epochs: int, steps_per_epoch: int
) -> RunSettings:
    """The settings of a run that is complete, with more epochs.

    Raises:
        UserError: It is not complete, or `more_epochs` is not positive.
    """
    if more_epochs < 1:
        raise UserError(f"--more-epochs is {more_epochs}; it must be at least 1")
    newest = run.newest_checkpoint()
    step = newest.step if newest else 0
    if step < total_steps:
        raise UserError(
            f"--more-epochs is for a run that has come to its end; {run} is at step {step} of "
            f"{total_steps}: go on without it"
        )
    if config.steps:
        return dataclasses.replace(config, steps=config.steps + more_epochs * steps_per_epoch)
    return dataclasses.replace(config, epochs=config.epochs + more_epochs)


def tell_about_data(data: "UnpairedImages", total_steps: int, tell: Callable[[str], None]) -> None:
    """Say what the data are, and what of them is not as a reader would expect it."""
    for line in data.lines:
        tell(line)
    for images in (data.train_x, data.train_y):
        if images.skipped:
            tell(f"left out {len(images.skipped)} unreadable images: {', '.join(images.skipped)}")
    if data.passed_over:
        tell(data.passed_over)
    if data.about_test_images:
        tell(
            f"the sample pictures and evaluate show {data.about_test_images}; a translator may know "
            "some by heart"
        )
    shown = total_steps * data.config.batch_size
    if shown < FEW_IMAGES:
        tell(
            f"{total_steps} steps of {data.config.batch_size} are too few to show more than that it "
            "runs; those of the demo show 8,000 images of each domain, the paper's 200,000"
        )
    for caution in data.config.cautions(total_steps):
        tell(caution)


def _tell_nothing(_message: str) -> None:
    """What a worker that is not the chief says in its place."""
