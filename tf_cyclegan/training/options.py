"""The settings of a method as the options of a command, from presets or a run on."""

import argparse
import dataclasses
import typing
from collections.abc import Sequence
from typing import Annotated, Any

from ..data.embedded import EMBEDDED
from ..errors import UserError
from ..files import from_home
from ..help_texts import as_union, told
from ..methods import DEFAULT, find_method, method_of, methods
from ..methods.method import Method
from ..settings import RunSettings, in_groups
from .run import Run

MORE_EPOCHS = (
    "lengthen a run that has come to its end; its learning rate goes on as that of one so long"
)


def find_preset(
    method: str | None = None, preset: str | None = None, data: str | None = None
) -> RunSettings:
    """The settings that others are given on top of.

    Args:
        method: Name of a method; cyclegan if neither it nor `preset` says.
        preset: Name of one of its presets, or METHOD/PRESET. Without one it is `demo` for an embedded
            data set and `photos` for a folder or .zip, where the method has such, and else its first.
        data: The data set, or one of two piles of images; the embedded emoji if not given.

    Raises:
        UserError: There is no such method or preset, or they contradict each other.
    """
    if preset and "/" in preset:
        named, preset = preset.split("/", 1)
        if method not in (None, named):
            raise UserError(f"--method {method} does not go with --preset {named}/{preset}")
        method = named
    found = find_method(method or DEFAULT)
    if preset is None:
        preset = next(iter(found.presets))
        if (data or "emoji") in EMBEDDED:
            preset = "demo" if "demo" in found.presets else preset
        elif from_home(data).exists():
            preset = "photos" if "photos" in found.presets else preset
    if preset not in found.presets:
        others = [
            f"{name}/{preset}" for name, other in methods().items() if preset in other.presets
        ]
        raise UserError(
            f"{found.name} has no preset {preset}; it has {', '.join(found.presets)}"
            + (f" (there is {', '.join(others)})" if others else "")
        )
    return found.presets[preset]


def settings_before(arguments: list[str] | None) -> RunSettings:
    """What the settings are before the other options of a command line.

    They come from --preset or --method; without both from the run in --run-dir if that has begun, and
    else from the default preset for --dataset.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for name in (
        "--method",
        "--preset",
        "--dataset",
        "--x",
        "--y",
        "--run-dir",
        "--epochs",
        "--steps",
    ):
        first.add_argument(name)
    try:
        known, _ = first.parse_known_args(arguments)
    except argparse.ArgumentError:  # an option without a value, which tyro will say
        known = first.parse_args([])
    if known.dataset and (known.x or known.y):
        raise UserError(f"give either --dataset {known.dataset}, or --x and --y")
    preset = find_preset(known.method, known.preset, known.dataset or known.x)
    given = {name: getattr(known, name) for name in ("dataset", "x", "y", "run_dir")}
    given = {name: value for name, value in given.items() if value is not None}
    if known.run_dir is None:
        run = Run(dataclasses.replace(preset, **given).run_folder)
    else:
        run = Run(known.run_dir)
    if known.preset is None and run.has_settings:
        before = run.read_settings()
        if known.method in (None, before.method):
            preset = before
    if known.epochs and not known.steps:  # which would count for nothing beside a preset's steps
        preset = dataclasses.replace(preset, steps=None)
    return preset


def options_of(base: RunSettings, about: str) -> type:
    """A dataclass for tyro: the settings of a method by groups, with the values of `base`.

    Args:
        base: What an option is where it is not given.
        about: What --help says first.
    """
    import tyro

    hints = typing.get_type_hints(type(base))
    method = method_of(base)
    every = "; ".join(f"{name}: {other.about}" for name, other in methods().items())
    members = [
        _choice("method", method.name, tuple(methods()), every),
        _choice(
            "preset",
            None,
            None,
            f"settings to start from: {', '.join(method.presets)}; those of another method as "
            f"METHOD/PRESET ({_default_presets(method)})",
        ),
        (
            "more_epochs",
            Annotated[int | None, told(MORE_EPOCHS, None)],
            dataclasses.field(default=None),
        ),
    ]
    for name, fields in in_groups(type(base)).items():
        group = dataclasses.make_dataclass(name, [_option(field, hints, base) for field in fields])
        members.append(
            (name, tyro.conf.OmitArgPrefixes[group], dataclasses.field(default_factory=group))
        )
    options = dataclasses.make_dataclass("Options", members)
    options.__doc__ = about
    return options


def common_options(kinds: Sequence[type[RunSettings]], without: Sequence[str]) -> type:
    """A dataclass for tyro: every setting that some kinds of settings have, None where not given.

    Args:
        kinds: The settings of methods.
        without: Names of settings that a command gives in its own way.
    """
    members = {}
    for kind in kinds:
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            if field.name not in without and field.name not in members:
                hint = Annotated[as_union(hints[field.name] | None), _told(field, None)]
                members[field.name] = (field.name, hint, dataclasses.field(default=None))
    return dataclasses.make_dataclass("Common", members.values())


def given(options: Any) -> dict[str, Any]:
    """What was given of `common_options`, where data told in one way replace those in the other."""
    values = {
        name: value for name, value in dataclasses.asdict(options).items() if value is not None
    }
    if "dataset" in values:
        return {"x": None, "y": None} | values
    return {"dataset": None} | values if {"x", "y"} & values.keys() else values


def settings_of(options: Any, kind: type[RunSettings]) -> RunSettings:
    """The settings that parsed options of `options_of` give.

    Raises:
        UserError: A setting, or two together, cannot work.
    """
    values = {}
    for group in dataclasses.fields(options):
        if group.name not in ("method", "preset", "more_epochs"):
            values |= dataclasses.asdict(getattr(options, group.name))
    return kind(**values)


def _default_presets(method: Method) -> str:
    told = {"demo": "demo for an embedded data set", "photos": "photos for a folder or .zip"}
    names = [told[name] for name in told if name in method.presets]
    return "default: " + ", ".join([*names, f"{'else ' * bool(names)}{next(iter(method.presets))}"])


def _option(field: dataclasses.Field, hints: dict, base: RunSettings):
    value = getattr(base, field.name)
    hint = Annotated[as_union(hints[field.name]), _told(field, value)]
    return field.name, hint, dataclasses.field(default=value)


def _told(field: dataclasses.Field, default: Any):
    return told(field.metadata["help"], default, aliases=field.metadata["aliases"])


def _choice(name: str, default: str | None, choices: tuple | None, help: str):
    hint = typing.Literal[choices] if choices else str | None
    return name, Annotated[hint, told(help, default)], dataclasses.field(default=default)
