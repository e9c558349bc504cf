"""Layers of a setting, in increasing precedence: default, config.toml, environment variable, option. Pure.

A setting is named ``section.field``, as in config.toml. Its variable is ``SEALDEX_SECTION_FIELD`` in capitals, its
option ``--set section.field=VALUE``. Common settings also have a short variable (`SHORT`); the long one overrides it.
Commands that download have their own options for some settings, which override ``--set``. Registries can't be set this
way: trust anchors must be written in the file. Lists are written with commas
(``SEALDEX_ENVIRONMENT_TAGS=cuda-11.8,jetpack-5``), labels as ``key=value`` with commas between, everything else as in
TOML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from sealdex.config.toml_reader import toml_values
from sealdex.errors import ConfigError, UsageError
from sealdex.similar import most_similar

if TYPE_CHECKING:
    from msgspec import inspect

PREFIX = "SEALDEX_"
SHORT = {
    f"{PREFIX}{key.partition('.')[2].upper()}": key
    for key in (
        "download.concurrent",
        "download.timeout",
        "download.retry",
        "download.max_plugin_size",
        "install.builtin",
        "install.resolve_timeout",
        "update.auto_check_update",
        "update.update_check_interval",
        "runtime.load_timeout",
    )
}
"""``SEALDEX_RETRY`` and the like."""
Sections = Mapping[str, type[Struct]]


def sections_of(document: type[Struct]) -> dict[str, type[Struct]]:
    """Return the sections of a configuration whose fields can be set from outside, by name.

    They are those that are there by default. Types are not looked into, which would take longer than all else here.
    """
    whole = document()
    values = {name: getattr(whole, name) for name in document.__struct_fields__}
    return {name: type(value) for name, value in values.items() if isinstance(value, Struct)}


def keys(sections: Sections) -> list[str]:
    """Return the names of all settings: ``section.field``."""
    return [f"{name}.{field}" for name, section in sections.items() for field in section.__struct_fields__]


def variable_of(key: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + key.replace(".", "_").upper()


def with_layers(
    values: Mapping[str, Any],
    sections: Sections,
    environ: Mapping[str, str],
    options: Mapping[str, str],
    file: str,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a configuration file's values overridden by variables and options, and where each setting comes from.

    Args:
        values: the values of the file.
        sections: what can be set, see `sections_of`.
        environ: environment variables.
        options: of the command line, by setting.
        file: the file's path, for the origins.

    Raises:
        ConfigError: a variable begins like those of a section but names none of its settings, or can't be parsed.
        UsageError: the same for an option.
    """
    merged: dict[str, Any] = {name: dict(said) if isinstance(said, Mapping) else said for name, said in values.items()}
    origins = {
        f"{name}.{field}": file for name in sections if isinstance(said := values.get(name), Mapping) for field in said
    }
    for key, text, origin in [*_from_environment(sections, environ), *_from_options(sections, options)]:
        section, _, field = key.partition(".")
        target = merged.setdefault(section, {})
        if isinstance(target, dict):  # if not, decoding the whole reports it
            target[field] = _read(sections, key, text, origin)
            origins[key] = origin
    return merged, origins


def _from_environment(sections: Sections, environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    known = {**SHORT, **{variable_of(key): key for key in keys(sections)}}
    for variable, text in sorted(
        environ.items(), key=lambda item: (item[0] not in SHORT, item[0])
    ):  # long ones last: they override
        if variable in known:
            yield known[variable], text, f"${variable}"
        elif variable.startswith(tuple(f"{PREFIX}{name.upper()}_" for name in sections)):
            near = most_similar(variable, known)
            raise ConfigError(
                f"there is no setting for the environment variable {variable}"
                + (f"; did you mean {near[0]}?" if near else ""),
                subject=variable,
                hint="to list all settings: sealdex config show",
            )


def _from_options(sections: Sections, options: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    known = keys(sections)
    for key, text in options.items():
        if key not in known:
            near = most_similar(key, known)
            raise UsageError(
                f"there is no setting '{key}'" + (f"; did you mean '{near[0]}'?" if near else ""),
                hint="to list all settings: sealdex config show",
            )
        yield key, text, "--set"


def _read(sections: Sections, key: str, text: str, origin: str) -> Any:
    from msgspec import inspect  # noqa: PLC0415  # only where something is overridden

    section, _, name = key.partition(".")
    kind = _bare(fields_of(sections[section])[name])
    if kind is inspect.StrType:
        return text
    if kind is inspect.VarTupleType and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is inspect.DictType and not text.startswith("{"):
        return dict(_pair(part.strip(), origin) for part in text.split(",") if part.strip())
    try:
        return toml_values(f"value = {text}")["value"]
    except ValueError:
        return text  # of the wrong type, which decoding the whole reports better


def _pair(text: str, origin: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"'{text}' is not of the form key=value", subject=origin)
    return name.strip(), value.strip()


def fields_of(section: type[Struct]) -> dict[str, inspect.Type]:
    """Return the types of a section's fields, by name."""
    from msgspec import inspect  # noqa: PLC0415  # only where something is overridden, or all is shown

    info = inspect.type_info(section)
    if not isinstance(info, inspect.StructType):
        raise TypeError(f"{section.__name__} is not a struct")
    return {field.name: field.type for field in info.fields}


def _bare(kind: inspect.Type) -> type[inspect.Type]:
    """Return the type of a field, without constraints and without None."""
    from msgspec import inspect  # noqa: PLC0415  # as its caller

    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        kind = kind.type if isinstance(kind, inspect.Metadata) else kind.types[0]
    return type(kind)
