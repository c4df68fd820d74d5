"""Routes that show what benchmarks measured: the files of one folder, given when the server was started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel

from memorist.errors import InputError, NotFound
from memorist.serve import shapes
from memorist.serve.memories import Reader
from memorist.serve.problems import responses

router = APIRouter(prefix="/v1", tags=["reports"])

LARGEST = 50_000_000
"""Bytes of a report that is still shown."""


class ReportShape(BaseModel):
    """A file of the folder."""

    name: str
    bytes: int


class ReportsShape(BaseModel):
    """The reports there are, by name."""

    items: list[ReportShape]


@router.get("/reports", response_model=ReportsShape, responses=responses())
def reports(request: Request, caller: Reader) -> ReportsShape:
    """The benchmark reports that this server shows."""
    found = listed(request.app.state.reports)
    return ReportsShape(items=[ReportShape(name=name, bytes=path.stat().st_size) for name, path in found.items()])


@router.get("/reports/{name}", response_class=JSONResponse, responses=responses(404))
def report(name: shapes.Id, request: Request, caller: Reader) -> Response:
    """A report: its rows as JSON, without single questions; or an HTML file to keep."""
    path = listed(request.app.state.reports).get(name)
    if path is None:
        raise NotFound(f"there is no report {name!r:.120}; see /v1/reports")
    if path.suffix == ".html":
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)
    return JSONResponse(document(path))


def listed(folder: Path | None) -> dict[str, Path]:
    """The reports of a folder, by name; links that lead out of it are none."""
    if folder is None or not folder.is_dir():
        return {}
    files = (path for path in sorted(folder.iterdir()) if path.suffix in (".json", ".html") and not path.is_symlink())
    return {path.name: path for path in files if path.is_file() and path.stat().st_size <= LARGEST}


def document(path: Path) -> dict[str, Any]:
    """What a report holds but its single questions. Raises InputError for another file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("rows"), list):
        raise InputError(f"{path.name} is not a report of memorist bench")
    return {name: value for name, value in found.items() if name != "records"}
