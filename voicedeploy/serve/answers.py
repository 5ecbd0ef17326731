"""What a path gives back."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Handler = Callable[[Request], Awaitable[Response]]


def json_answer(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status, headers={"Cache-Control": "no-store"})
