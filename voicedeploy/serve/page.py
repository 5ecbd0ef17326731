"""The page to talk to the bot: files that the wheel carries."""

import re
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse

from voicedeploy.serve.refusal import Refusal

PAGE = Path(__file__).parent / "page"

# Not from the machine's mime tables, which know a worklet's module as text/plain here and there.
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".txt": "text/plain; charset=utf-8",
}
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# A name that changes with its content.
_HASHED = re.compile(r"[.-][0-9A-Za-z_]{8,}\.[a-z0-9]+$")


def page_file(folder: Path, name: str, request_headers: Headers) -> Response:
    """The file `name` of `folder`. Raises `Refusal` for anything outside of it."""
    nothing = Refusal(404, "not-found", "there is no such file")
    if "\0" in name or "\\" in name:
        raise nothing
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        stat = path.stat() if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):
        raise nothing from None
    if stat is None or path.suffix not in CONTENT_TYPES:
        raise nothing
    hashed = name.startswith("assets/") and _HASHED.search(name)
    headers = SECURITY | {
        "Cache-Control": "public, max-age=31536000, immutable" if hashed else "no-cache",
    }
    response = FileResponse(path, stat_result=stat, media_type=CONTENT_TYPES[path.suffix], headers=headers)
    if response.headers["etag"] in _etags(request_headers.get("if-none-match", "")):
        return NotModifiedResponse(response.headers)
    return response


def _etags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
