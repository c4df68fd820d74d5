"""The page at /: plain files of this package, under a policy that lets nothing else run."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from memorist.errors import NotFound
from memorist.serve.problems import Problem

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).with_name("web")
MEDIA = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # text can never become markup: the browser refuses the calls that would
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # asked again by its ETag: an upgraded server is seen at once
}


@router.get("/")
def page() -> FileResponse:
    """The page."""
    return sent(FOLDER / "index.html")


@router.get("/page/{name}", responses={404: {"model": Problem}})
def part(name: str) -> FileResponse:
    """A style, a script or a picture of the page. Raises NotFound."""
    found = {path.name: path for path in FOLDER.iterdir() if path.suffix in MEDIA}
    if name not in found:
        raise NotFound(f"the page has no part {name!r:.80}")
    return sent(found[name])


def sent(path: Path) -> FileResponse:
    """A file with what protects it."""
    return FileResponse(path, media_type=MEDIA[path.suffix], headers=HEADERS)
