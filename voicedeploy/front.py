"""What a provider has to know of the front: the file it starts from, and what its answers mean."""

from dataclasses import asdict, dataclass

from voicedeploy import environment
from voicedeploy.ask import object_in
from voicedeploy.errors import StepFailed
from voicedeploy.plan import Call
from voicedeploy.render import render
from voicedeploy.spec import Spec


@dataclass(frozen=True)
class Seat:
    """Where a front sits on its target. Paths are the target's; those that do not begin with `/` are beside the file.

    `udp_ports` is a range ("20000-20015"); `log` "" is standard error. `trusted_proxies`: only from these networks is
    `X-Forwarded-For` believed. `open_on_loopback`: whoever is on the machine may start a call without a token.
    `tcp_only`: no UDP gets out, so that relays are asked over TLS or TCP first. `relay`: addresses of the target's own,
    for callers; its secret is in `turn-secret`, beside the file. `hold`: it serves nobody before it is told to.
    `key_env`: the variable that holds the key, and `from_env`: secrets and the port are variables too, as on platforms
    that run containers. `fleet`: whose proxy stands before it and its like. `public_url`: where it has one of its own.
    `udp_bind`: the address that media is bound to, or a name of it. `public_ip_env`: the variable that holds
    `public_ip`.
    """

    project: str
    python: str
    secrets: str
    key: str
    socket: str
    host: str
    port: int
    udp_ports: str
    public_ip: str = ""
    nets: tuple[str, ...] = ()
    log: str = ""
    peers: tuple[str, ...] = ()
    peers_folder: str = ""
    live_file: str = ""
    trusted_proxies: tuple[str, ...] = ()
    open_on_loopback: bool = False
    tcp_only: bool = False
    relay: tuple[str, ...] = ()
    hold: bool = True
    key_env: str = ""
    from_env: bool = False
    fleet: str = ""
    public_url: str = ""
    udp_bind: str = ""
    public_ip_env: str = ""


def config(spec: Spec, release: str, seat: Seat) -> str:
    """The text of front.toml."""
    return render("front.toml.j2", {"spec": spec, "release": release, **asdict(seat)})


def refusal(call: Call, status: int, text: str) -> StepFailed:
    """What an answer that is not 200 means for a step."""
    said = object_in(text)
    if said.get("reason") == "failed":
        where = f"{said['where']}  " if said.get("where") else ""
        return StepFailed(
            f"the bot does not start: {where}{said.get('error', '')}",
            hint=environment.hint(str(said.get("error", ""))),
            log=tuple(str(said.get("traceback", "")).rstrip().splitlines()[-15:]),
        )
    error = said.get("error")
    if isinstance(error, dict):
        return StepFailed(str(error.get("message", text)), hint=str(error.get("hint", "")))
    return StepFailed(f"{call.method} {call.url}: {status} {said.get('reason', text[:200])}")


def final(status: int, text: str) -> bool:
    """Waiting longer cannot help."""
    return status < 500 or object_in(text).get("reason") == "failed"
