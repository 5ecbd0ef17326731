"""What can stand in the way on this machine, seen before anything is done."""

import importlib.util
import shutil
import socket
import subprocess
import sys

import uv

from voicedeploy import readiness, relays, transports, turn
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec
from voicedeploy_providers.local.options import Options
from voicedeploy_providers.local.places import Places, state_home
from voicedeploy_providers.local.secrets import SecretsFile

_DISK_BYTES = 3 * 2**30  # a Pipecat environment takes 1 GB, the package cache as much again


def findings(spec: Spec, options: Options, ours: bool) -> list[Finding]:
    """`ours`: this bot already listens on its port."""
    secrets = SecretsFile(Places.of(spec.bot.name)).values()
    return [
        *_system(),
        *_front(),
        *readiness.findings(spec, tuple(secrets), turn.tried(relays.asked(spec), secrets)),
        *_python(spec),
        *([] if ours else _port(options)),
        *_udp(spec, options, ours),
        *_carrier(spec, options),
        *_disk(),
    ]


def _system() -> list[Finding]:
    if sys.platform == "win32":
        return [
            Finding(
                "VD001",
                "error",
                "system",
                "Windows has no fork and no unix sockets",
                "run it in WSL: wsl --install",
            ),
        ]
    return []


def _front() -> list[Finding]:
    missing = [m for m in ("starlette", "uvicorn", "prometheus_client") if importlib.util.find_spec(m) is None]
    if missing:
        return [
            Finding(
                "VD002",
                "error",
                "front",
                f"not installed: {', '.join(missing)}",
                "pip install 'voicedeploy[local]'",
            )
        ]
    return []


def _python(spec: Spec) -> list[Finding]:
    wanted = spec.bot.python
    if wanted is None:
        return []
    found = subprocess.run([uv.find_uv_bin(), "python", "find", wanted], capture_output=True, text=True, check=False)
    if found.returncode:
        return [
            Finding(
                "VD009",
                "warning",
                "python",
                f"Python {wanted} is not installed; uv will try to fetch it",
                f"uv python install {wanted}",
            )
        ]
    return [Finding("VD000", "ok", "python", found.stdout.strip())]


def _port(options: Options) -> list[Finding]:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            return [
                Finding(
                    "VD011", "error", "port", f"{options.host}:{options.port} cannot be used: {error.strerror}",
                    f"set another one: [provider.local] port = {options.port + 1 if options.port < 65535 else 7861}",
                )
            ]  # fmt: skip
    return [Finding("VD000", "ok", "port", f"{options.host}:{options.port} is free")]


def _udp(spec: Spec, options: Options, ours: bool) -> list[Finding]:
    if not spec.receives_media:
        return []
    ports = options.ports(spec.pool.max)
    if len(ports) < spec.pool.max:
        return [
            Finding(
                "VD012", "error", "udp", f"{len(ports)} ports for {spec.pool.max} calls",
                f'widen it: [provider.local] udp_ports = "{ports[0]}-{ports[0] + 2 * spec.pool.max - 1}"',
            )
        ]  # fmt: skip
    busy = [port for port in ports if not _free_udp(port)]
    if len(ports) - len(busy) < spec.pool.max and not ours:
        return [
            Finding(
                "VD013", "error", "udp", f"{len(busy)} of the ports {ports[0]}-{ports[-1]} are taken by other programs",
                'choose another range: [provider.local] udp_ports = "21000-21015"',
            )
        ]  # fmt: skip
    return [Finding("VD000", "ok", "udp", f"ports {ports[0]}-{ports[-1]}")]


def _carrier(spec: Spec, options: Options) -> list[Finding]:
    kind = spec.transport.kind
    if not transports.carried(kind) or spec.access.public_url:
        return []
    return [
        Finding(
            "VD220",
            "warning",
            "callers",
            f"`{kind}` calls from the internet by HTTPS, and nobody there reaches {options.host}:{options.port}",
            "a tunnel that takes HTTPS and WebSockets, and its address as `access.public_url`; or --provider vm",
        )
    ]


def _free_udp(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  (nothing is ever received here)
        except OSError:
            return False
    return True


def _disk() -> list[Finding]:
    folder = state_home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < _DISK_BYTES:
        return [
            Finding(
                "VD014",
                "warning",
                "disk",
                f"{free / 2**30:.1f} GiB free in {folder}; a new environment may need 2",
                "free some space",
            )
        ]
    return []
