"""What --help says of options: each default once, and of values that may be left out what they are.

Left to itself tyro writes `--output {None}|PATH   folder to write (default: RUN/x) (default: None)`.
"""

import dataclasses
import re
import types
import typing
from functools import reduce
from operator import or_
from typing import Annotated, Any, Union

DEFAULT = re.compile(r"\s*(\(default: [^)]*\))")


def told(help: str, default: Any, **others) -> Any:
    """A `tyro.conf.arg` that says the default once: in the words of the help, or as it is.

    Args:
        help: What the option is; "(default: ...)" in it says what None stands for.
        default: The value where the option is not given.
        others: More for `tyro.conf.arg`.
    """
    import tyro

    words = DEFAULT.search(help)
    if default is None:
        others["help_behavior_hint"] = words[1] if words else ""
    return tyro.conf.arg(help=DEFAULT.sub("", help), **others)


def with_defaults_told(options: type) -> type:
    """A dataclass with the fields of another, each described by its docstring as `told` says it."""
    import docstring_parser

    hints = typing.get_type_hints(options, include_extras=True)
    parameters = docstring_parser.parse_from_object(options).params
    texts = {one.arg_name: one.description for one in parameters if one.description}
    members: list[tuple] = []
    for field in dataclasses.fields(options):
        hint = as_union(hints[field.name])
        if field.name in texts:
            hint = Annotated[hint, told(" ".join(texts[field.name].split()), field.default)]
        same = dataclasses.field(default=field.default, default_factory=field.default_factory)
        members.append((field.name, hint, same))
    described = dataclasses.make_dataclass(options.__name__, members)
    described.__doc__ = options.__doc__
    return described


def as_union(hint: Any) -> Any:
    """`A | None` as `Union[A, None]`: of the former tyro imports typeguard, which takes 0.1 s."""
    if typing.get_origin(hint) is Annotated:
        inner, *others = typing.get_args(hint)
        return Annotated[(as_union(inner), *others)]
    if isinstance(hint, types.UnionType):
        return Union[typing.get_args(hint)]  # noqa: UP007
    return hint


def registry() -> Any:
    """Rules for tyro, to enter while it parses: an option that may be None takes what else it takes.

    The word None still stands for None.
    """
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    rules = ConstructorRegistry()

    @rules.primitive_rule
    def optional(kind: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
        kinds = typing.get_args(kind.type)
        if kind.type_origin not in (Union, types.UnionType) or type(None) not in kinds:
            return None
        rest = reduce(or_, (one for one in kinds if one is not type(None)))
        spec = ConstructorRegistry.get_primitive_spec(
            PrimitiveTypeInfo.make(rest, parent_markers=kind.markers)
        )
        if not isinstance(spec, PrimitiveConstructorSpec):
            return None
        return dataclasses.replace(
            spec,
            choices=spec.choices and (*spec.choices, "None"),
            instance_from_str=lambda given: (
                None if given == ["None"] else spec.instance_from_str(given)
            ),
            is_instance=lambda value: value is None or spec.is_instance(value),
            str_from_instance=lambda value: (
                ["None"] if value is None else spec.str_from_instance(value)
            ),
        )

    return rules
