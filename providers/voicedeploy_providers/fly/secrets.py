"""The bot's secrets as secrets of its app: Fly gives them to machines when they start, and shows them to nobody."""

from collections.abc import Callable, Mapping

from voicedeploy_providers.fly.api import Fly
from voicedeploy_providers.fly.generation import OWN
from voicedeploy_providers.fly.seen import found


class AppSecrets:
    def __init__(self, fly: Callable[[], Fly], app: str, org: str) -> None:
        self._fly = fly
        self._app = app
        self._org = org

    def names(self) -> tuple[str, ...]:
        if found(self._fly(), self._app) is None:
            return ()
        return tuple(sorted(s.name for s in self._fly().app(self._app).secrets.list() if s.name not in OWN))

    def update(self, values: Mapping[str, str | None]) -> None:
        """They belong to an app, so that is made first where it is not there: it costs nothing."""
        fly = self._fly()
        if found(fly, self._app) is None:
            fly.apps.create(self._app, self._org)
        fly.app(self._app).secrets.update(values)
