"""What the platform has: regions, and room in them."""

from collections.abc import Sequence

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.config import Guest
from voicedeploy_providers.fly.api.records import Placement, Record, Regions


class _Placements(Record):
    regions: tuple[Placement, ...] = ()


class Platform:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def regions(self) -> Regions:
        what = "listing the regions"
        return self._wire.read(Regions, self._wire.call("GET", "/platform/regions", what), what)

    def placements(self, org: str, guest: Guest, regions: Sequence[str] = ("any",), count: int = 1) -> list[Placement]:
        """Where `count` such machines would fit, best first. It is a forecast: a machine may still be refused."""
        what = "asking where there is room"
        body = {"org_slug": org, "compute": guest.wire(), "region": ",".join(regions), "count": count}
        answer = self._wire.call("POST", "/platform/placements", what, body=body, again=True)
        return list(self._wire.read(_Placements, answer, what).regions)
