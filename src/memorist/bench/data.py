"""Where a suite's data are: files that the user names, a folder of data sets, or our own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from memorist.bench.suite import Source, Suite
from memorist.bench.suites import MISSING, SUITES
from memorist.errors import InputError

VARIABLE = "MEMORIST_DATA"
"""The environment variable that names a folder with data sets, for suites whose data nobody named."""

SHIPPED = ("dev_assistant", "dev_colleagues")
"""Our own development conversations, by the name that `--data` takes for them."""


def sources(suites: Sequence[Suite], data: Sequence[str], common: Source) -> list[tuple[Suite, Source]]:
    """Each suite with its files. `data` are files (for one suite), `SUITE=FILE`, or a folder of data sets."""
    named: dict[str, list[Path]] = {}
    folder: Path | None = None
    for one in data:
        suite, equals, path = one.partition("=")
        if equals and suite in {each.name for each in suites}:
            named.setdefault(suite, []).append(located(path))
        elif Path(one).is_dir() and (any(placed(each, Path(one)) for each in suites) or not of_folders(suites)):
            folder = Path(one)
        elif len(suites) == 1:
            named.setdefault(suites[0].name, []).append(located(one))
        else:
            raise InputError(f"--data {one}: say whose it is with several suites, such as {suites[0].name}={one}")
    return [(suite, replace(common, files=files_of(suite, named.get(suite.name, []), folder))) for suite in suites]


def files_of(suite: Suite, named: Sequence[Path], folder: Path | None) -> tuple[Path, ...]:
    """The files of a suite. Raises InputError when it needs one and none is there."""
    if named or suite.file is None:
        return tuple(named)
    place = folder or (Path(os.environ[VARIABLE]) if VARIABLE in os.environ else None)
    if place is None:
        raise InputError(f"{suite.name} needs data: give --data FILE, or a folder with {suite.file}")
    found = placed(suite, place)
    if found is None:
        raise InputError(
            f"{suite.name} needs {suite.file}, which is not in the folder {place};"
            f" put it there, or give --data {suite.name}=FILE"
        )
    return (found,)


def placed(suite: Suite, folder: Path) -> Path | None:
    """The data of a suite in a folder of data sets, or in the set's own folder there."""
    if suite.file is None:
        return None
    file = Path(suite.file)
    return next((place for place in (folder / file, folder / file.name) if place.exists()), None)


def of_folders(suites: Sequence[Suite]) -> bool:
    """Whether the data of a suite are a folder of several files."""
    return any(suite.file is not None and not Path(suite.file).suffix for suite in suites)


def located(path: str | Path) -> Path:
    """A file, or one of ours by name."""
    if str(path) in SHIPPED:
        return Path(str(files("memorist") / "data" / f"{path}.json"))
    found = Path(path)
    if not found.exists():
        raise InputError(f"{path} does not exist; name a file of the suite's format, or one of {', '.join(SHIPPED)}")
    return found


def available(data: Sequence[str]) -> tuple[list[Suite], dict[str, str]]:
    """Every suite whose data are given or in the folder given, or that makes its own; and why each other cannot run."""
    folder = next((Path(one) for one in data if Path(one).is_dir()), None)
    found: list[Suite] = []
    lacking: dict[str, str] = {}
    for suite in SUITES.values():
        named = [path for one in data for name, _, path in (one.partition("="),) if name == suite.name]
        try:
            files_of(suite, [located(path) for path in named], folder)
        except InputError as error:
            lacking[suite.name] = str(error)
        else:
            found.append(suite)
    return found, lacking | MISSING
