"""A request's body, bounded in size and in time."""

import asyncio
import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from voicedeploy.serve.refusal import Refusal

# The largest offers of browsers are some 20 KB.
LARGEST_BODY = 256 << 10
BODY_TIMEOUT_S = 10.0

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, *, most: int = LARGEST_BODY) -> bytes:
    """Raises `Refusal`: 413 before an announced body is read, or as soon as an unannounced one is too large."""
    too_large = Refusal(413, "too-large", f"a request's body has at most {most} bytes")
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise Refusal(408, "too-slow", "the request's body did not arrive in time") from None
    except ClientDisconnect:
        raise Refusal(400, "bad-request", "the client went away") from None
    return bytes(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object; no body is an empty one. Raises `Refusal`."""
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refusal(400, "bad-request", "the body is not JSON") from None
    if not isinstance(value, dict):
        raise Refusal(400, "bad-request", "the body is not a JSON object")
    return value


def parse_model(model: type[Model], body: bytes) -> Model:
    """Raises `Refusal`, which names the field."""
    try:
        return model.model_validate(parse_object(body))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise Refusal(400, "bad-request", f"{key}: {first['msg']}") from None
