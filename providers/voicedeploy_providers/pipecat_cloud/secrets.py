"""The bot's secrets as a set of its agent. They reach it by a new deployment only, so a change is written down."""

from collections.abc import Callable, Mapping

from voicedeploy_providers.pipecat_cloud.api import PipecatCloud
from voicedeploy_providers.pipecat_cloud.lowering import secret_set
from voicedeploy_providers.pipecat_cloud.records import CHANGED, book


class AgentSecrets:
    def __init__(self, api: Callable[[], PipecatCloud], agent: str, region: Callable[[], str]) -> None:
        self._api = api
        self._agent = agent
        self._region = region

    def names(self) -> tuple[str, ...]:
        found = self._api().secrets.get(secret_set(self._agent))
        return tuple(sorted(found.keys)) if found else ()

    def update(self, values: Mapping[str, str | None]) -> None:
        api, name = self._api(), secret_set(self._agent)
        setting = {key: value for key, value in values.items() if value is not None}
        if api.agents.get(self._agent) is not None:
            # First: if what follows is cut off, the next `up` deploys once too often, and never too rarely.
            api.secrets.put(book(self._agent), {CHANGED: "1"}, region=self._region())
        if setting:
            api.secrets.put(name, setting, region=self._region())
        for key in values.keys() - setting.keys():
            api.secrets.unset(name, key)
