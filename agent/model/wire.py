"""Model objects as JSON and back: the one encoding used by the capture log, the sockets and the catalog."""

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")

_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return _adapters.get(kind) or _adapters.setdefault(kind, TypeAdapter(kind))


def dump(value: object) -> bytes:
    """The value (a model dataclass) as compact UTF-8 JSON."""
    return _adapter(type(value)).dump_json(value)


def load(kind: type[T], data: bytes | str) -> T:
    """The value of type `kind` that `data` holds. Raises ValueError (pydantic.ValidationError) on any other content."""
    result: T = _adapter(kind).validate_json(data)
    return result
