"""The head of an HTTP/1.1 message, as bytes on a connection."""

import asyncio
from dataclasses import dataclass, field

_LONGEST = 64 * 1024


@dataclass
class Head:
    first: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> "Head":
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.rstrip("\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(first, [(name.strip(), value.strip()) for name, _, value in pairs])

    def get(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name), "")

    def without(self, *names: str) -> "Head":
        return Head(self.first, [(key, value) for key, value in self.fields if key.lower() not in names])

    def plus(self, **given: str) -> "Head":
        named = {name.replace("_", "-"): value for name, value in given.items()}
        kept = self.without(*named)
        return Head(self.first, [*kept.fields, *named.items()])

    @property
    def upgrades(self) -> bool:
        return "upgrade" in self.get("connection").lower()

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])

    def bytes(self) -> bytes:
        return "\r\n".join([self.first, *(f"{k}: {v}" for k, v in self.fields), "", ""]).encode("latin-1")


async def read_body(head: Head, reader: asyncio.StreamReader) -> bytes:
    """The whole body, with a chunked one as it came."""
    if "chunked" in head.get("transfer-encoding").lower():
        body = b""
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            body += line + await reader.readexactly(size + 2)
            if size == 0:
                return body
    length = head.get("content-length")
    return await reader.readexactly(int(length)) if length.isdigit() else b""
