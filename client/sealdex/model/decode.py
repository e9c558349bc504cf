"""Reads documents, strictly or leniently, naming every problem by its path.

`msgspec` decodes fast and stops at the first error. When it fails, `problems_in` walks the plain values along the
type and reports all of them, each with its path, what is wrong and what to write.

All typed decoding of both packages goes through `decode_as` and `convert_to`. msgspec analyses a type when it is first
used, and evaluates its annotations meanwhile: a second thread that uses the same type at that moment reads what is half
built, and the process dies of a segmentation fault (seen with msgspec 0.22).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from sealdex.errors import FormatTooNewError
from sealdex.model.sizes import read_size
from sealdex.similar import most_similar

T = TypeVar("T")


class FieldProblem(msgspec.Struct, frozen=True):
    """One problem of one document: ``path`` such as ``artifacts[0].size``, empty for the whole document."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DocumentError(ValueError):
    """A document is not valid; ``problems`` has every problem."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


_building = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode_as(data: bytes, kind: type[T]) -> T:
    """Decode JSON to a type as `msgspec.json.decode` does, from any thread and from anybody's bytes.

    Raises:
        msgspec.DecodeError: not JSON, not UTF-8, nested too deeply: whatever the bytes made the decoder raise.
        msgspec.ValidationError: a DecodeError: it is JSON of another form.
    """
    decoder = _decoder(kind)
    try:
        value: T = decoder.decode(data)
    except msgspec.DecodeError:
        raise
    except (ValueError, RecursionError, OverflowError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return value


def convert_to(values: Any, kind: type[T]) -> T:
    """Convert plain values to a type as `msgspec.convert` does, from any thread.

    Raises:
        msgspec.ValidationError: as there.
    """
    _decoder(kind)  # it has the type and all within it analysed
    return msgspec.convert(values, kind)


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    decoder = _decoders.get(kind)
    if decoder is None:
        with _building:  # one lock for all types: they share structs
            decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return decoder


def read_json(data: bytes, kind: type[T]) -> T:
    """Decode JSON strictly, as people write it.

    Raises:
        DocumentError: not JSON, or one or more fields are wrong; all of them are named.
    """
    try:
        return decode_as(data, kind)
    except msgspec.ValidationError as error:
        first = error
    except msgspec.DecodeError as error:
        raise _not_json(error) from error
    raise DocumentError(problems_in(_plain(data), kind) or [_from_msgspec(first)]) from first


def _plain(data: bytes) -> Any:
    """Decode to plain values. What fits no type may still fail here: the typed decoder stops before the end."""
    try:
        return decode_as(data, object)
    except msgspec.DecodeError as error:
        raise _not_json(error) from error


def _not_json(error: msgspec.DecodeError) -> DocumentError:
    return DocumentError([FieldProblem("", f"is not valid JSON: {error}")])


def read_values(values: Any, kind: type[T]) -> T:
    """Convert plain values (from YAML or TOML) strictly; settings in bytes may be text, see `sealdex.model.sizes`.

    Raises:
        DocumentError: one or more fields are wrong; all of them are named.
    """
    try:
        return convert_to(values, kind)
    except msgspec.ValidationError:
        read = _with_sizes(values, inspect.type_info(kind))
    try:
        return convert_to(read, kind)
    except msgspec.ValidationError as error:
        raise DocumentError(problems_in(values, kind) or [_from_msgspec(error)]) from error


def is_size(info: inspect.Type) -> bool:
    """Return whether a field is a number of bytes that `read_values` takes as text too."""
    while isinstance(info, inspect.Metadata | inspect.UnionType):
        if isinstance(info, inspect.Metadata):
            if (info.extra or {}).get("is_size"):
                return True
            info = info.type
        else:
            info = info.types[0]
    return False


def _with_sizes(value: Any, info: inspect.Type) -> Any:
    """Return plain values with sizes read as numbers; text that isn't one stays, for the message about it."""
    if isinstance(info, inspect.StructType) and isinstance(value, dict):
        fields = {f.encode_name: f.type for f in info.fields}
        return {key: _with_sizes(item, fields[key]) if key in fields else item for key, item in value.items()}
    if isinstance(value, str) and is_size(info):
        with suppress(ValueError):
            return read_size(value)
    return value


def read_wire(data: bytes, kind: type[T], *, newest_format: int, what: str) -> T:
    """Decode a signed document as a client does: unknown fields are ignored, a newer major format is refused.

    Args:
        data: the verified bytes.
        kind: the struct to decode into; must have a ``format`` field.
        newest_format: the newest format number this version reads.
        what: the document, for messages.

    Raises:
        FormatTooNewError: ``format`` is newer; the advice is to upgrade.
        DocumentError: it isn't of that form although it is signed.
    """
    with suppress(msgspec.DecodeError):  # then it says below what is wrong
        document = decode_as(data, kind)
        # the struct has to have a format, so it is the document's: reading the head as well would take as long again
        if _requires_format(kind) and getattr(document, "format", newest_format + 1) <= newest_format:
            return document
    try:
        head = decode_as(data, _Head)
    except msgspec.DecodeError as error:
        raise DocumentError([FieldProblem("", f"{what} is not a document with a format number: {error}")]) from error
    if head.format > newest_format:
        raise FormatTooNewError(
            f"{what} has format {head.format}; this sealdex reads up to format {newest_format}",
            subject=what,
            untouched="nothing was changed",
            hint="upgrade sealdex: pip install --upgrade sealdex",
        )
    try:
        return decode_as(data, kind)
    except msgspec.ValidationError as first:
        try:
            return convert_to(_without_unknown(_plain(data), inspect.type_info(kind)), kind)
        except msgspec.ValidationError:
            raise DocumentError([_from_msgspec(first)]) from first
    except msgspec.DecodeError as error:  # what the head left out, since it skips what it doesn't know
        raise _not_json(error) from error


class _Head(msgspec.Struct):
    format: int


def _requires_format(kind: type) -> bool:
    """Return whether a struct can't be without ``format``: fields with defaults come last."""
    names: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    return "format" in names[: len(names) - len(getattr(kind, "__struct_defaults__", ()))]


def problems_in(values: Any, kind: type) -> list[FieldProblem]:
    """Return every place where plain values don't fit the type, in document order."""
    return list(_walk(values, inspect.type_info(kind), ""))


def _walk(value: Any, info: inspect.Type, path: str) -> Iterator[FieldProblem]:
    expects: str | None = None
    bare = info
    while isinstance(bare, inspect.Metadata):
        expects = (bare.extra or {}).get("expects", expects)
        bare = bare.type
    if isinstance(bare, inspect.UnionType):
        options = [t for t in bare.types if not isinstance(t, inspect.NoneType)]
        if value is None and len(options) < len(bare.types):
            return
        if len(options) == 1:
            yield from _walk(value, options[0], path)
            return
    if isinstance(bare, inspect.StructType):
        yield from _with_own_problems(value, bare, path)
    elif isinstance(bare, inspect.VarTupleType | inspect.ListType):
        if not isinstance(value, list | tuple):
            yield FieldProblem(path, f"must be a list, not {_kind_of(value)}")
            return
        for i, item in enumerate(value):
            yield from _walk(item, bare.item_type, f"{path}[{i}]")
    elif isinstance(bare, inspect.DictType):
        yield from _walk_dict(value, bare, path)
    else:
        yield from _leaf(value, info, bare, expects, path)


def _walk_struct(value: Any, info: inspect.StructType, path: str) -> Iterator[FieldProblem]:
    if not isinstance(value, dict):
        yield FieldProblem(path, f"must be a mapping, not {_kind_of(value)}")
        return
    fields = {f.encode_name: f for f in info.fields}
    for key in value:
        if key not in fields and info.forbid_unknown_fields:
            yield FieldProblem(_join(path, str(key)), _unknown(str(key), list(fields)))
    for name, field in fields.items():
        if name in value:
            yield from _walk(value[name], field.type, _join(path, name))
        elif field.required:
            yield FieldProblem(_join(path, name), f"is missing{_hint(field.type)}")


def _with_own_problems(value: Any, info: inspect.StructType, path: str) -> Iterator[FieldProblem]:
    """Yield what the types of a struct find wrong, and what its ``field_problems`` says of the other fields."""
    found = set()
    for problem in _walk_struct(value, info, path):
        found.add(problem.path)
        yield problem
    own = getattr(info.cls, "field_problems", None)
    for name, message in own(value) if own is not None and isinstance(value, dict) else ():
        if (where := _join(path, name)) not in found:
            yield FieldProblem(where, message)


def _walk_dict(value: Any, info: inspect.DictType, path: str) -> Iterator[FieldProblem]:
    if not isinstance(value, dict):
        yield FieldProblem(path, f"must be a mapping, not {_kind_of(value)}")
        return
    for key, item in value.items():
        where = f'{path}["{key}"]' if not str(key).isidentifier() else _join(path, str(key))
        yield from _walk(key, info.key_type, where)
        yield from _walk(item, info.value_type, where)


def _leaf(value: Any, info: inspect.Type, bare: inspect.Type, expects: str | None, path: str) -> Iterator[FieldProblem]:
    try:
        msgspec.convert(_with_sizes(value, info), _as_annotation(info))
    except msgspec.ValidationError:
        if expects is not None:
            wanted = expects
        elif isinstance(bare, inspect.EnumType):
            wanted = "one of " + ", ".join(str(m.value) for m in bare.cls)
        elif isinstance(bare, inspect.LiteralType):
            wanted = "one of " + ", ".join(map(str, bare.values))
        else:
            wanted = _describe_leaf(bare)
        yield FieldProblem(path, f"must be {wanted}, not {_shown(value, bare)}")


def _as_annotation(info: inspect.Type) -> Any:
    """Rebuild the annotation that `inspect` took apart, for the leaf types our structs use."""
    from typing import Annotated, Literal  # noqa: PLC0415  # only on the error path

    if isinstance(info, inspect.Metadata):
        return _as_annotation(info.type)
    if isinstance(info, inspect.StrType):
        return Annotated[str, _limits(info, "min_length", "max_length", "pattern")]
    if isinstance(info, inspect.IntType):
        return Annotated[int, _limits(info, "gt", "ge", "lt", "le")]
    if isinstance(info, inspect.FloatType):
        return Annotated[float, _limits(info, "gt", "ge", "lt", "le")]
    if isinstance(info, inspect.EnumType):
        return info.cls
    if isinstance(info, inspect.LiteralType):
        return Literal[info.values]
    if isinstance(info, inspect.BoolType):
        return bool
    return Any


def _limits(info: inspect.Type, *names: str) -> msgspec.Meta:
    return msgspec.Meta(**{n: limit for n in names if (limit := getattr(info, n)) is not None})


def _describe_leaf(info: inspect.Type) -> str:
    if isinstance(info, inspect.StrType):
        if info.pattern is not None:
            return f"text matching {info.pattern}"
        if info.max_length is not None:
            return f"text of {info.min_length or 0} to {info.max_length} characters"
        return "non-empty text" if info.min_length else "text"
    if isinstance(info, inspect.IntType | inspect.FloatType):
        kind = "a whole number" if isinstance(info, inspect.IntType) else "a number"
        bounds = [f"at least {info.ge}"] if info.ge is not None else []
        bounds += [f"more than {info.gt}"] if info.gt is not None else []
        bounds += [f"at most {info.le}"] if info.le is not None else []
        return " ".join([kind, *[" and ".join(bounds)]]).strip()
    if isinstance(info, inspect.BoolType):
        return "true or false"
    return "another kind of value"


def _kind_of(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _shown(value: Any, wanted: inspect.Type) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        quotes = " (put it in quotes if it is meant as text)" if isinstance(wanted, inspect.StrType) else ""
        return f"the number {value}{quotes}"
    return _kind_of(value)


def _unknown(key: str, known: list[str]) -> str:
    close = most_similar(key, known)
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in key)
    if snake in known:
        close = [snake]
    return "is not a known field" + (f"; did you mean '{close[0]}'?" if close else "; remove it or check its spelling")


def _hint(info: inspect.Type) -> str:
    while isinstance(info, inspect.Metadata):
        if expects := (info.extra or {}).get("expects"):
            return f": write {expects}"
        info = info.type
    return ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _from_msgspec(error: msgspec.ValidationError) -> FieldProblem:
    message, _, where = str(error).partition(" - at `")
    return FieldProblem(where.rstrip("`").removeprefix("$").removeprefix("."), message)


def _without_unknown(value: Any, info: inspect.Type) -> Any:
    """Drop fields that the strict structs inside a published document don't know."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.UnionType):
        options = [t for t in info.types if not isinstance(t, inspect.NoneType)]
        return _without_unknown(value, options[0]) if len(options) == 1 and value is not None else value
    if isinstance(info, inspect.StructType) and isinstance(value, dict):
        fields = {f.encode_name: f.type for f in info.fields}
        return {k: _without_unknown(v, fields[k]) for k, v in value.items() if k in fields}
    if isinstance(info, inspect.VarTupleType | inspect.ListType) and isinstance(value, list):
        return [_without_unknown(item, info.item_type) for item in value]
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        return {k: _without_unknown(v, info.value_type) for k, v in value.items()}
    return value


def encode_json(document: Any) -> bytes:
    """Encode compactly and deterministically: same document, same bytes (mappings sorted by key)."""
    return msgspec.json.encode(document, order="deterministic")


def encode_pretty(document: Any) -> bytes:
    """Encode for people and diffs: two spaces, a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
