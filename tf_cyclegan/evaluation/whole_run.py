"""A run from its settings to its exports: trained, measured on the way, written for use elsewhere."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from ..methods import method_of
from ..progress import log
from ..settings import RunSettings
from ..training.run import Run


def train(config: RunSettings, on_sample: Callable[[Path], None] | None = None) -> Path:
    """Train as `config` says, or go on where its run folder ended, and export both directions.

    Args:
        config: Every setting of the run.
        on_sample: Called with the path of every sample picture once it is written, as a notebook
            does to show it.

    Returns:
        The folder of the run.

    Raises:
        UserError: The data, the folder or the settings do not allow it.
        Interrupted: Ctrl-C, SIGTERM or SIGHUP came; a checkpoint has been written.
    """
    from ..training.devices import find_devices, keep_operations_to_a_core
    from ..training.trainer import check_run_folder

    keep_operations_to_a_core()
    devices = find_devices(config.strategy, config.batch_size)
    run = Run(config.run_folder)
    if devices.is_chief:
        check_run_folder(run, config)
    with devices.lost_workers_told(), run.held() if devices.is_chief else nullcontext():
        return _train_on(devices, config, run, on_sample)


def _train_on(devices, config: RunSettings, run: Run, on_sample) -> Path:
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
    data = load_dataset(config, method_of(config).paired)
    for images in (data.train_x, data.train_y):
        if images.skipped:
            tell(f"left out {len(images.skipped)} unreadable images: {', '.join(images.skipped)}")
    total_steps = config.steps or config.epochs * data.steps_per_epoch
    with devices.scope():
        method = method_of(config).build(config, total_steps, devices.replicas(xla_pays(config)))
    if not run.has_checkpoints:
        load_initial_networks(method, config)
    evaluate = training_evaluator(config, method) if config.evaluate_every else None
    trainer = Trainer(method, data, config, total_steps, evaluate, on_sample, devices)

    tell(
        f"{run}: {len(data.train_x)} images of X, {len(data.train_y)} of Y, "
        f"{total_steps} steps of batch {config.batch_size} on {devices.name}"
    )
    if trainer.step >= total_steps:
        tell(f"the run is complete at step {trainer.step}; choose another --run-dir for a new one")
    elif trainer.step:
        tell(f"continuing at step {trainer.step}")
    trainer.run()
    if devices.is_chief:
        log("exporting the translators")
        for path in export_run(run.folder, run.exports()):
            log(f"wrote {path}")
    devices.all_workers(0)  # TensorFlow takes a worker that has ended before the others for lost
    return run.folder


def _tell_nothing(_message: str) -> None:
    """What a worker that is not the chief says in its place."""
