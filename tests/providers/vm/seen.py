"""What look.sh prints of a host, made to order."""

import base64
from typing import Any

from voicedeploy_providers.vm.facts import Facts, parse

NOW = 1_800_000_000


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


BARE = {
    "system": "Debian GNU/Linux 12 (bookworm)",
    "machine": "x86_64",
    "clock": str(NOW),
    "systemd": "252",
    "cores": "4",
    "memory_kb": str(8 * 2**20),
    "disk_kb": str(40 * 2**20),
    "ephemeral": "32768\t60999",
    "address": "192.168.1.10",
    "python": "3.11",
    "apt": "yes",
    "caddy_offered": "2.6.2-5",
}


def seen(**more: Any) -> Facts:
    """A bare Debian in a home, with what `more` says instead; a list is several lines, None leaves a line out."""
    lines = ["Last login: a message that a login prints"]
    for key, value in {**BARE, **more}.items():
        values = value if isinstance(value, list) else [value]
        lines += [f"{key.replace('__', '/')}\t{one}" for one in values if one is not None]
    return parse("\n".join(lines), NOW)
