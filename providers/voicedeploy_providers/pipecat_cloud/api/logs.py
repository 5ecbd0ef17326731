"""What the bots of an agent print."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.pipecat_cloud.api.records import LogLine, Record

_POLL_S = 2.0
_PAGE = 200


class _Page(Record):
    logs: tuple[LogLine, ...] = ()


class Logs:
    def __init__(self, wire: Wire, agent: str) -> None:
        self._wire = wire
        self._agent = agent

    def last(
        self, lines: int = 100, *, deployment: str = "", session: str = "", query: str = ""
    ) -> tuple[LogLine, ...]:
        """Oldest first."""
        return tuple(reversed(self._page(lines, "desc", deployment, session, query, 0)))

    def follow(self, *, deployment: str = "", session: str = "", since: str = "") -> Iterator[LogLine]:
        """Each line once, for as long as they are taken; from `since` on, or else from the last ones there are."""
        start = since or next((line.timestamp for line in self._page(1, "desc", deployment, session, "", 0)), "")
        seen: set[tuple[str, str]] = set()
        while True:
            page = self._page(_PAGE, "asc", deployment, session, "", _millis(start))
            fresh = [line for line in page if (line.timestamp, line.log) not in seen]
            yield from fresh
            # Several lines may have the last moment: those are asked for again, and passed over.
            start = page[-1].timestamp if page else start
            seen |= {(line.timestamp, line.log) for line in fresh}
            if len(page) < _PAGE:
                self._wire.clock.sleep(_POLL_S)

    def _page(
        self, most: int, order: Literal["asc", "desc"], deployment: str, session: str, query: str, start: int
    ) -> tuple[LogLine, ...]:
        what = f"reading the log of {self._agent}"
        asked: dict[str, str | int] = {
            "limit": most,
            "order": order,
            "deploymentId": deployment,
            "sessionId": session,
            "query": query,
            "startTime": start,
        }
        path = f"/agents/{quote(self._agent, safe='')}/logs"
        return self._wire.read(
            _Page, self._wire.call("GET", path, what, params={k: v for k, v in asked.items() if v}), what
        ).logs


def _millis(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp() * 1000) if stamp else 0
