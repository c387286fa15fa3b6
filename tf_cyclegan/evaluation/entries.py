"""What a comparison compares: methods, presets and variants, as a command line names them."""

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UserError
from ..settings import AUTO, RunSettings, option
from ..training.options import find_preset


def parse_entries(
    entries: Sequence[str],
    common: Mapping[str, Any],
    own: Sequence[str] = (),
    run: RunSettings | None = None,
) -> dict[str, RunSettings]:
    """The settings of every entry, by its name.

    Args:
        entries: Each [NAME=]METHOD[/PRESET][:setting=value,...]: cyclegan, cyclegan/paper or
            no_identity=cyclegan:lambda_identity=0. Its name, which is that of its folder too, is the
            entry as it stands, with "_" for what is no letter, where it has no other.
        common: Settings for all of them that have such, on top of their presets; an entry's own go
            before these.
        own: Names of the settings that an entry may not have of its own.
        run: The settings of a run, in place of the presets of entries that name none, where they have
            such; those of its data go before every preset's.

    Raises:
        UserError: There is no such method, preset or setting, a value does not fit, two have one name,
            or their numbers could not be compared.
    """
    found: dict[str, RunSettings] = {}
    for entry in entries:
        name, settings = _parse(entry, common, own, run)
        if name in found:
            raise UserError(f"--entries has {name} twice; name one of them: NAME={entry}")
        found[name] = settings
    if not found:
        raise UserError("--entries names nothing to compare")
    for name in common:
        if not any(hasattr(settings, name) for settings in found.values()):
            raise UserError(f"no entry has a setting {option(name)}")
    for name, told in (("image_shape", "image_size"), ("resize_method", "resize_method")):
        values = {
            key: AUTO
            if name == "image_shape" and settings.image_size == AUTO
            else getattr(settings, name)
            for key, settings in found.items()
        }
        if len(set(values.values())) > 1:
            raise UserError(
                "their numbers could not be compared: "
                + "; ".join(f"{name.replace('_', ' ')} of {k} is {v}" for k, v in values.items())
                + f": give all of them the same {option(told)}"
            )
    return found


def _parse(
    entry: str, common: Mapping, own: Sequence[str], run: RunSettings | None
) -> tuple[str, RunSettings]:
    match = re.fullmatch(r"(?:([\w.-]+)=)?(\w+)(/\w+)?(?::(.+))?", entry)
    if not match:
        raise UserError(
            f"--entries {entry}: an entry is METHOD, METHOD/PRESET or "
            "METHOD:setting=value,setting=value, with NAME= before it if it is to have another name"
        )
    name, method, preset, values = match.groups()
    data = common.get("dataset") or common.get("x")
    base = find_preset(method, preset and method + preset, data)
    fields = {field.name: field for field in dataclasses.fields(base)}
    if run:
        shared = [
            field.name
            for field in dataclasses.fields(run)
            if field.name in fields and not (preset and field.metadata["group"] != "data")
        ]
        taken = {name: getattr(run, name) for name in shared} | {"run_dir": None}
        base = _with(base, taken, entry)
    changed = {name: value for name, value in common.items() if name in fields}
    for pair in values.split(",") if values else ():
        setting, equals, text = pair.partition("=")
        setting = setting.strip().removeprefix("--").replace("-", "_")
        if not equals or setting in own:
            raise UserError(
                f"--entries {entry}: {pair} cannot be of one entry alone"
                if equals
                else f"--entries {entry}: {pair} is no setting=value"
            )
        changed[setting] = _value(type(base), entry, setting, text.strip())
    return name or re.sub(r"[^\w.=-]", "_", entry), _with(base, changed, entry)


def _with(base: RunSettings, changed: Mapping, entry: str) -> RunSettings:
    try:
        return dataclasses.replace(base, **changed)
    except UserError as error:
        raise UserError(f"--entries {entry}: {error}") from error


def _value(kind: type[RunSettings], entry: str, name: str, text: str) -> Any:
    """A value as its setting's type reads it; where none does the text, which the settings refuse."""
    if name not in {field.name for field in dataclasses.fields(kind)}:
        raise UserError(f"--entries {entry}: {kind.method} has no setting {option(name)}")
    hint = typing.get_type_hints(kind)[name]
    hints = typing.get_args(hint) if type(None) in typing.get_args(hint) else (hint,)
    hints = [one for hint in hints for one in (typing.get_args(hint) or (hint,))]
    words = {"True": True, "False": False, "None": None}
    if text in words and type(words[text]) in hints:
        return words[text]
    for kind_of_number in (int, float):
        if kind_of_number in hints:
            try:
                return kind_of_number(text)
            except ValueError:
                pass
    return text
