"""What the platform refuses beyond what its description says."""

from typing import Any

from tests.providers.fly.standin.durations import seconds
from tests.providers.fly.standin.world import App, Refusal

_PER_CPU_MB = {"shared": (256, 2048), "performance": (2048, 8192)}


def fit(app: App, config: dict[str, Any], body: dict[str, Any]) -> None:
    if body.get("min_secrets_version", 0) > len(app.secret_versions):
        raise Refusal(400, "invalid_argument: min_secrets_version is newer than the secrets of the app")
    _guest(config.get("guest", {}))
    for file in config.get("files", ()):
        if not file.get("guest_path", "").startswith("/"):
            raise Refusal(400, "invalid_argument: guest_path must be absolute")
        if (name := file.get("secret_name")) and name not in app.secrets:
            raise Refusal(400, f"invalid_argument: no secret {name}")
    duration(config.get("stop_config", {}).get("timeout", ""))
    for service in config.get("services", ()):
        if service["protocol"] == "udp" and any(port.get("handlers") for port in service.get("ports", ())):
            raise Refusal(400, "invalid_argument: handlers are for TCP")


def _guest(guest: dict[str, Any]) -> None:
    kind, cpus, memory = guest.get("cpu_kind", "shared"), guest.get("cpus", 1), guest.get("memory_mb", 256)
    if kind not in _PER_CPU_MB:
        raise Refusal(400, f"invalid_argument: no cpu_kind {kind}")
    least, most = _PER_CPU_MB[kind]
    if memory % 256 or not least * cpus <= memory <= most * cpus:
        raise Refusal(400, f"invalid_argument: {memory} MB is not what {cpus} {kind} CPUs can have")


def duration(text: str) -> None:
    try:
        seconds(text, 0.0)
    except ValueError as error:
        raise Refusal(400, f"invalid_argument: {error}") from error
