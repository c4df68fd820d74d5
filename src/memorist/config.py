"""Where the store is when nobody says: a variable of the environment, else a folder of the user."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path

from memorist.errors import StoreReadOnly

STORE_VARIABLE = "MEMORIST_STORE"
STORE_NAME = "memory.db"


def store_place(given: str | None = None) -> str:
    """The path given, else $MEMORIST_STORE, else memory.db in the user's data folder. Creates nothing."""
    return given or os.environ.get(STORE_VARIABLE) or str(default_place())


def default_place() -> Path:
    """The store of someone who names none."""
    return user_data_path("memorist", appauthor=False) / STORE_NAME


def make_folder(place: str) -> None:
    """Create the folder of the default store; a folder that the user names is the user's to create."""
    default = default_place()
    if place != str(default):
        return
    try:
        default.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreReadOnly(
            f"the folder {default.parent} cannot be created ({error.strerror}); give --store"
        ) from error
