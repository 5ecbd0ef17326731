"""A release on Fly: so many machines, all alike, whose names say whose they are."""

import base64
import json
from dataclasses import dataclass

from voicedeploy import beside, project
from voicedeploy.deployment import Deployment
from voicedeploy.front import Seat
from voicedeploy.front import config as front_toml
from voicedeploy.spec import Pool, Spec
from voicedeploy_providers.fly import udp
from voicedeploy_providers.fly.api import Config, File, Guest, HttpOptions, Port, Restart, Service, ServiceCheck
from voicedeploy_providers.fly.api import StopConfig as Stop
from voicedeploy_providers.fly.options import Options
from voicedeploy_providers.fly.sizes import SIZES, Size

PORT = 8080
FRONT_FILE = "/opt/bot/front.toml"
FRONTS = "/tmp/voicedeploy"  # noqa: S108  (of the machine, where nobody else is)
SOCKET = f"{FRONTS}/bot/release/front.sock"
PYTHON = "/opt/voicedeploy/venv/bin/python"
KEY = "VOICEDEPLOY_KEY"
"""The secret of the app that opens its fronts."""
MARK = "VOICEDEPLOY_RELEASE"
"""A secret that is written last: the version that comes back holds all that were set before, by whomever."""
OWN = frozenset({KEY, MARK})
OURS = "voicedeploy-bot"
LIVE = "voicedeploy-live"
"""In a machine's metadata: "1" while callers are sent to it, "0" afterwards, nothing before."""
_STOP_S = 300
"""As long as Fly waits at most before it kills; nothing is stopped here while somebody talks."""
_IDLE_S = 3600
"""Sockets of calls are pinged every few seconds; this is for requests that wait."""


@dataclass(frozen=True)
class Generation:
    """`slots`: calls on each of its `count` machines."""

    spec: Spec
    app: str
    url: str
    size: Size
    count: int
    slots: int
    options: Options

    def names(self, release: str) -> tuple[str, ...]:
        return tuple(f"{self.spec.bot.name}-{release}-{number + 1}" for number in range(self.count))

    @property
    def udp(self) -> bool:
        """Packets of callers come to the machines."""
        return udp.wanted(self.spec, self.options)

    def front(self, release: str, ports: str = "") -> str:
        pool = self.spec.pool
        mine = Pool(warm=pool.warm, min=min(pool.min, self.slots), max=self.slots)
        seat = Seat(
            project="/opt/bot/app", python="/opt/bot/venv/bin/python", secrets="", key="", socket=SOCKET,
            host="0.0.0.0", port=PORT, udp_ports=ports, hold=False, key_env=KEY, from_env=True, fleet="fly",  # noqa: S104
            # Nothing but Fly's proxy and the organization's own network reaches a machine's port.
            trusted_proxies=("0.0.0.0/0", "::/0"), public_url=self.url,
            udp_bind=udp.BIND if self.udp else "", public_ip_env=udp.PUBLIC_IP if self.udp else "",
        )  # fmt: skip
        return front_toml(self.spec.model_copy(update={"pool": mine}), release, seat)

    def release(self, secrets: tuple[str, ...]) -> str:
        """`secrets`: what changes when one of them does."""
        settings = [
            self.front("-"), self.size.name, self.count, self.options.image, self.options.base, beside.identity(),
            self.spec.bot.python or "", *self.options.region, self.options.spread,
        ]  # fmt: skip
        return project.release(self.spec.root, project.files(self.spec.root), json.dumps(settings), *secrets)

    def config(self, record: Deployment, image: str, ports: str = "") -> Config:
        """Of one of its machines. `ports`: a range for UDP, of its own; "" where there is none."""
        front = base64.b64encode(self.front(record.release, ports).encode()).decode()
        https = Port(port=443, handlers=("tls", "http"), http_options=HttpOptions(idle_timeout=_IDLE_S))
        # Not `/readyz`: a machine whose slots are all taken must still be reached by the calls that it has.
        alive = ServiceCheck(type="http", port=PORT, method="GET", path="/livez", interval="15s", timeout="5s",
                             grace_period="20s")  # fmt: skip
        return Config(
            image=image,
            guest=Guest(cpu_kind=self.size.kind, cpus=self.size.cpus, memory_mb=self.size.memory_mb),
            env={"PORT": str(PORT), **({udp.PUBLIC_IP: udp.KIND} if ports else {})},
            # A front that has drained ends with 0, and the machine stays stopped.
            restart=Restart(policy="on-failure", max_retries=10),
            stop_config=Stop(signal="SIGTERM", timeout=f"{_STOP_S}s"),
            metadata={**record.labels(), **({udp.PORTS: ports} if ports else {})},
            services=(
                Service(
                    protocol="tcp", internal_port=PORT, autostop="off", autostart=False,
                    ports=(Port(port=80, handlers=("http",), force_https=True), https), checks=(alive,),
                ),
                *(udp.services(ports) if ports else ()),
            ),
            files=(File(guest_path=FRONT_FILE, raw_value=front, mode=0o644),),
        )  # fmt: skip


def generation(spec: Spec, options: Options, app: str, url: str) -> Generation:
    size = SIZES[options.size]
    slots = max(1, min(size.slots(spec.session.cpu), spec.pool.max))
    return Generation(spec, app, url, size, -(-spec.pool.max // slots), slots, options)
