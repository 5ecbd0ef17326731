"""An app in the stand-in, and machines of it that echo."""

from dataclasses import dataclass
from typing import Any

from voicedeploy_providers.fly.api import App, Concurrency, Config, Machine, Port, Restart, Service, ServiceCheck
from voicedeploy_providers.fly.api import StopConfig as Stop

from tests.providers.fly.standin import Standin
from tests.waiting import soon

OURS = {"voicedeploy": "front-desk"}


def config(*, udp: int = 0, env: dict[str, str] | None = None, **given: Any) -> Config:
    """A machine that echoes, over HTTP and with `udp` over that port."""
    web = {key: given.pop(key) for key in ("autostop", "autostart", "concurrency") if key in given}
    idle_s = given.pop("idle_s", 60)
    https = Port.model_validate({"port": 443, "handlers": ["tls", "http"], "http_options": {"idle_timeout": idle_s}})
    check = ServiceCheck(type="http", port=7860, method="GET", path="/healthz", interval="15s", timeout="2s")
    services = [Service(protocol="tcp", internal_port=7860, ports=(https,), checks=(check,), **web)]
    if udp:
        services.append(Service(protocol="udp", internal_port=udp, ports=(Port(port=udp),)))
    more = {"UDP_PORT": str(udp)} if udp else {}
    usual: dict[str, Any] = {
        "image": "echo:1",
        "env": {"PORT": "7860", **more, **(env or {})},
        "metadata": OURS,
        "services": tuple(services),
        "stop_config": Stop(signal="SIGTERM", timeout="5s"),
        "restart": Restart(policy="no"),
    }
    return Config(**(usual | given))


def limited(hard: int) -> Concurrency:
    return Concurrency(type="requests", soft_limit=hard, hard_limit=hard)


@dataclass
class House:
    standin: Standin
    app: App

    @property
    def site(self) -> str:
        return self.standin.site(self.app.name)

    def machine(self, name: str = "bot-1", *, cordoned: bool = False, udp: int = 0, **given: Any) -> Machine:
        """One that runs and is well."""
        made = self.app.machines.create(name, config(udp=udp, **given), region="fra", cordoned=cordoned)
        assert self.app.machines.wait(made.id, "started", version=made.instance_id, timeout_s=10) == "started"
        there = self.standin.machine(self.app.name, name)
        soon(lambda: there.healthy)
        return made

    def now(self, machine: Machine) -> Machine:
        found = self.app.machines.get(machine.id)
        assert found is not None
        return found
