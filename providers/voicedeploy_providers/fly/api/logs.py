"""What the machines of an app print."""

from collections.abc import Iterator
from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.records import LogLine, LogPage

_POLL_S = 2.0
_MOST_PAGES = 200


class Logs:
    def __init__(self, wire: Wire, app: str) -> None:
        self._wire = wire
        self._app = app

    def page(self, *, machine: str = "", region: str = "", after: str = "") -> LogPage:
        """Oldest first; `after` is the `next_token` of the page before."""
        what = f"reading the log of {self._app}"
        asked = {"instance": machine, "region": region, "next_token": after}
        path = f"/apps/{quote(self._app, safe='')}/logs"
        return self._wire.read(
            LogPage, self._wire.call("GET", path, what, params={k: v for k, v in asked.items() if v}), what
        )

    def so_far(self, *, machine: str = "") -> LogPage:
        """All that there is, as one page."""
        lines: dict[str, LogLine] = {}
        after = ""
        for _ in range(_MOST_PAGES):
            page = self.page(machine=machine, after=after)
            fresh = {line.id or str(len(lines)): line for line in page.lines if not line.id or line.id not in lines}
            lines |= fresh
            after = page.next_token or after
            if not fresh or not page.next_token:
                break
        return LogPage.model_validate({"data": list(lines.values()), "meta": {"next_token": after}})

    def follow(self, *, machine: str = "", region: str = "", after: str = "") -> Iterator[LogLine]:
        """Each line once, for as long as they are taken; `after` as for a page."""
        seen = set[str]()
        while True:
            page = self.page(machine=machine, region=region, after=after)
            fresh = [line for line in page.lines if not line.id or line.id not in seen]
            yield from fresh
            seen = {line.id for line in page.lines} or seen
            after = page.next_token or after
            if not fresh:
                self._wire.clock.sleep(_POLL_S)
