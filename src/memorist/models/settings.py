"""memorist.toml: names for models, and which one to use when none is named. Keys are never in it, only the names of the
variables that hold them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from memorist.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "memorist.toml"
FILE_VARIABLE = "MEMORIST_CONFIG"
MODEL_VARIABLE = "MEMORIST_MODEL"
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FIELDS: Mapping[str, type] = {"model": str, "url": str, "key": str, "context": int, "threads": int}


@dataclass(frozen=True, slots=True)
class Alias:
    """A model under a name of the user's: `key` is the variable that holds its key, 0 leaves a number open."""

    model: str
    url: str | None = None
    key: str | None = None
    context: int = 0
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """What memorist.toml says; `file` is None when there is none."""

    file: Path | None = None
    default: str | None = None
    aliases: Mapping[str, Alias] = field(default_factory=dict)


def chosen(name: str | None, settings: Settings) -> str | None:
    """The model to use: the one named, else $MEMORIST_MODEL, else the file's default; None when nobody says."""
    return name or os.environ.get(MODEL_VARIABLE) or settings.default


def settings_for(store: Path | None = None) -> Settings:
    """The settings of $MEMORIST_CONFIG, else of the file beside the store, else of the user's.

    Raises InputError naming what is wrong in it.
    """
    named = os.environ.get(FILE_VARIABLE)
    if named and not Path(named).is_file():
        raise InputError(f"{FILE_VARIABLE} names {named}, which does not exist")
    beside = [store.parent / FILE] if store is not None else []
    places = [Path(named)] if named else [*beside, user_config_path("memorist", appauthor=False) / FILE]
    for place in places:
        if place.is_file():
            return read(place)
    return Settings()


def read(path: Path) -> Settings:
    """A settings file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    models = content.get("models", {})
    if not isinstance(models, dict) or not isinstance(models.get("default", ""), str):
        raise InputError(f'{path}: write [models] with default = "NAME", and [models.NAME] for each model')
    aliases = {name: alias_of(path, name, table) for name, table in models.items() if name != "default"}
    return Settings(path, models.get("default"), aliases)


def alias_of(path: Path, name: str, table: Any) -> Alias:
    """One [models.NAME]. A value is never shown: it might be a key in the wrong place."""
    where = f"{path}, [models.{name}]"
    if not isinstance(table, dict) or "model" not in table:
        raise InputError(f'{where} needs a model, such as model = "local:smollm2-135m"')
    for key, value in table.items():
        if key not in FIELDS:
            raise InputError(f"{where} has an unknown field {key!r}; there are {', '.join(FIELDS)}")
        if not isinstance(value, FIELDS[key]) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise InputError(f"{where}: {key} is not a {'text' if FIELDS[key] is str else 'whole number'}")
    if not VARIABLE.fullmatch(table.get("key", "KEY")) or "-" in table.get("key", ""):
        raise InputError(
            f"{where}: key is the name of the environment variable that holds the key, never the key itself"
        )
    return Alias(**table)
