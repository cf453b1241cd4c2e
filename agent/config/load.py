"""Reading greffier.toml: every error names the line, what was expected, and the nearest word that would be right."""

import difflib
import re
import tomllib
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from agent.config.destinations import KINDS
from agent.config.settings import Settings

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")
_PATH_KEYS: tuple[str, ...] = ("state_dir", "run_dir", "keys_dir", "path", "tokens_file", "recipients_file")
_PATH_KEYS += ("tls_certificate", "tls_key", "tls_client_ca", "tls_ca")
_PATH_KEYS += ("credentials_file", "secret_file", "known_hosts_file", "key_file", "agent_socket", "token_file")
_PATH_KEYS += ("client_certificate", "client_key", "ca_file", "ca")


class ConfigError(ValueError):
    """The configuration cannot be used. `problems` are one line each: `line N: section.key: what; did you mean …?`."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(f"{source}: {p}" for p in problems))


def load(path: Path) -> Settings:
    """Settings from a file. Raises ConfigError, also when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}; `greffier init` writes one"]) from None
    return parse(text, path).read_from(path.absolute())


def parse(text: str, source: Path) -> Settings:
    """Settings from TOML text; relative paths are taken from the folder of `source`. Raises ConfigError."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(source), [f"not TOML: {error}"]) from None
    _absolute(tree, source.resolve().parent)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = _lines_of_keys(text)
        raise ConfigError(str(source), [_explain(e, lines) for e in error.errors()]) from None


def _absolute(tree: dict[str, Any], base: Path) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _absolute(value, base)
        elif key in _PATH_KEYS and isinstance(value, str):
            tree[key] = str(base / value)


def _lines_of_keys(text: str) -> dict[str, int]:
    """Line number (from 1) of every `section.key` and section header."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            section = header[1].replace('"', "").replace(" ", "")
            found.setdefault(section, number)
        elif key := _KEY.match(line):
            found.setdefault(f"{section}.{key[1]}".lstrip("."), number)
    return found


def _explain(error: Any, lines: dict[str, int]) -> str:
    path = [str(part) for part in error["loc"]]
    kind = path.pop(2) if len(path) > 2 and path[0] == "destination" else None  # it stands there though nobody wrote it
    if error["type"] == "value_error" and (inner := str(error["ctx"]["error"])).partition(":")[0] in lines:
        path = inner.partition(":")[0].split(".")
    dotted = ".".join(path)
    at = next((lines[p] for p in (".".join(path[:n]) for n in range(len(path), 0, -1)) if p in lines), None)
    where = f"line {at}: {dotted}" if at else dotted or "the file"
    if error["type"] == "extra_forbidden":
        known = sorted(KINDS[kind].model_fields) if kind else _fields_at(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
        return f"{where}: unknown setting; {hint}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix(f"{dotted}: ")
    if error["type"] == "missing":
        return f"{where}: its section needs {path[-1]}"
    if error["type"] == "enum" and isinstance(error["input"], str):
        options = re.findall(r"'([^']+)'", message)
        near = difflib.get_close_matches(error["input"], options, n=1)
        message += f'; did you mean "{near[0]}"?' if near else ""
    return f"{where}: {message}"


def _fields_at(path: list[str]) -> list[str]:
    """Names of settings allowed in the section at `path` (free names such as a purpose's count as one step)."""
    model: Any = Settings
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(part)
            model = field.annotation if field else None
        elif get_args(model):
            model = get_args(model)[-1]
        if isinstance(model, UnionType):
            model = get_args(model)[0]
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
