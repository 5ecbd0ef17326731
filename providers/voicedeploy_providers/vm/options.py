"""`[provider.vm]` of voicedeploy.toml."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from voicedeploy import options

Https = Literal["auto", "acme", "ip", "sslip", "tailscale", "internal"]


def _listed(value: object) -> object:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    for host in value:
        if not host or host.startswith("-") or re.search(r"\s", host):
            raise options.wrong(f"{host!r} is not a host", 'an alias of ~/.ssh/config, or like "ops@vm.example.org"')
    if len(set(value)) != len(value):
        raise options.wrong("a host is named twice", "name each host once")
    return value


def _domain(value: str) -> str:
    if value and not re.fullmatch(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", value):
        raise options.wrong(f"{value!r} is not a domain", 'write it like "talk.example.org"')
    return value


def _packages(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]*", name):
            raise options.wrong(f"{name!r} is not the name of a package", 'name Debian packages, e.g. ["libgl1"]')
    return value


class Options(options.Options):
    host: Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_hosts)] = ()
    """An ssh alias, or `user@host`; several get the release one after the other, the first is the canary."""
    domain: Annotated[str, AfterValidator(_domain)] = ""
    """The bot's own name, which leads to the host."""
    https: Https = "auto"
    """Where the certificate comes from; `auto` chooses by the class of the address."""
    acme_ca: str = ""
    """The directory of an ACME authority other than the public one; `acme_ca_root` is its certificate, on the host."""
    acme_ca_root: str = ""
    public_ip: options.Address = ""
    """The address that callers outside see, where it is not on a network card of the host."""
    udp_ports: options.PortRange = ""
    """Empty: two ports a slot from 20000 on, beside those of other bots."""
    nets: options.Networks = ()
    """Only addresses in these networks are offered to callers."""
    packages: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_packages)] = ()
    """Debian packages that the bot needs beside Python's, e.g. `libgl1`."""
    turn: bool = False
    """A relay on the host itself, for callers whose network lets no UDP out."""
    keep: int = Field(default=3, ge=1, le=50)
    """Releases that are kept to go back to."""
