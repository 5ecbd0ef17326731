"""What the platform has: regions, and the organization's own settings."""

from voicedeploy.api import Wire
from voicedeploy_providers.pipecat_cloud.api.records import Record, Region


class _Regions(Record):
    regions: tuple[Region, ...] = ()


class _Properties(Record):
    default_region: str = ""


class _PropertiesAnswer(Record):
    properties: _Properties = _Properties()


class Platform:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def regions(self) -> tuple[Region, ...]:
        what = "listing the regions"
        return self._wire.read(_Regions, self._wire.call("GET", "/regions", what), what).regions

    def default_region(self) -> str:
        """Where the organization deploys if nobody says where."""
        what = "asking for the organization's region"
        return self._wire.read(
            _PropertiesAnswer, self._wire.call("GET", "/properties", what), what
        ).properties.default_region
