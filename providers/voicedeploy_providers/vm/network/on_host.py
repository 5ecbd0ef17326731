"""What runs on the host itself: read by its Python (3.9 or later) from a pipe, so with the standard library alone.

Two things can be asked of it, by a call of `main` behind this text (see `looking.program`): `look` prints one JSON
object and changes nothing; `echo` answers datagrams on ports that are free, and ends by itself.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

COOKIE = 0x2112A442
TRIES, PAUSE_S = 4, 0.4
"""Of a STUN request; a server that stays silent costs their product."""
FIREWALLS = {
    "ufw": ["ufw", "status", "verbose"],
    "firewalld": ["firewall-cmd", "--list-all"],
    "nft": ["nft", "-j", "list", "ruleset"],
    "iptables": ["iptables", "-S"],
}
HARDWARE = ("sys_vendor", "product_name", "bios_vendor", "chassis_asset_tag")


def main(asked: str) -> None:
    options = json.loads(asked)
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    os.environ["LC_ALL"] = "C"
    if options["do"] == "echo":
        echo(options["ports"], options["nonce"].encode(), options["ttl_s"])
    else:
        say(json.dumps(look(options)))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- look -------------------------------------------------------------------------------------------


def look(options: dict[str, Any]) -> dict[str, Any]:
    family, servers = reachable(options["stun"])
    outward, interface, gateway = way_out(family, servers)
    free, busy = bound(options["ports"], family)
    # From a port of the bot's own, as far as there is one: routers may treat it as another.
    asking = free[0] if free else socket.socket(family, socket.SOCK_DGRAM)
    for sock in free[1:]:
        sock.close()
    try:
        seen = ask(asking, servers)
        port = asking.getsockname()[1]
    finally:
        asking.close()
    silent = [server for server in options["stun"] if server not in seen]
    return {
        "addresses": addresses(),
        "outward": outward,
        "interface": interface,
        "gateway": gateway,
        "mtu": number(f"/sys/class/net/{interface}/mtu"),
        "ephemeral": [int(part) for part in read("/proc/sys/net/ipv4/ip_local_port_range").split()],
        "busy": busy,
        "port": port,
        "seen": seen,
        "silent": silent,
        "relays": {url: relay(*where) for url, where in options["relays"].items()},
        "firewalls": firewalls(interface),
        "hardware": [text for text in (read("/sys/class/dmi/id/" + name) for name in HARDWARE) if text],
    }


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def number(path: str) -> int:
    text = read(path)
    return int(text) if text.isdigit() else 0


def output(argv: list[str]) -> str:
    """What a program prints; "" where it is not there."""
    if not shutil.which(argv[0]):
        return ""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def parsed(text: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(text)
    except ValueError:
        return []
    return found


def addresses() -> list[list[Any]]:
    """Interface, address and length of the prefix."""
    return [
        [link["ifname"], one["local"], one["prefixlen"]]
        for link in parsed(output(["ip", "-j", "addr", "show", "up"]))
        for one in link.get("addr_info", [])
        if "local" in one
    ]


def way_out(family: int, servers: dict[str, Any]) -> tuple[str, str, str]:
    """Address, interface and gateway by which packets leave for the internet; empty where there is no way."""
    beyond = "2001:4860:4860::8888" if family == socket.AF_INET6 else "8.8.8.8"
    to = next(iter(servers.values()), (beyond,))[0]
    for route in parsed(output(["ip", "-j", "route", "get", to])):
        return route.get("prefsrc", ""), route.get("dev", ""), route.get("gateway", "")
    with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect((to, 9))  # nothing is sent
        return probe.getsockname()[0], "", ""
    return "", "", ""


def reachable(names: list[str]) -> tuple[int, dict[str, Any]]:
    """The addresses of `host:port` names, all IPv4; all IPv6 on a host without any way out by IPv4."""
    for family, beyond in ((socket.AF_INET, "8.8.8.8"), (socket.AF_INET6, "2001:4860:4860::8888")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((beyond, 9))  # nothing is sent
            except OSError:
                continue
        return family, {name: found for name in names if (found := resolved(name, family))}
    return socket.AF_INET, {}


def resolved(name: str, family: int) -> Any:
    host, _, port = name.rpartition(":")
    try:
        return socket.getaddrinfo(host.strip("[]"), int(port), family, socket.SOCK_DGRAM)[0][4]
    except OSError:
        return None


def bound(ports: list[int], family: int) -> tuple[list[socket.socket], list[int]]:
    free, busy = [], []
    for port in ports:
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.bind(("", port))
            free.append(sock)
        except OSError:
            sock.close()
            busy.append(port)
    return free, busy


def request() -> bytes:
    return struct.pack("!HHI", 0x0001, 0, COOKIE) + os.urandom(12)


def mapped(answer: bytes, transaction: bytes) -> list[Any]:
    """Address and port in the answer to a binding request; empty if it is none."""
    if len(answer) < 20 or answer[:2] != b"\x01\x01" or answer[8:20] != transaction:
        return []
    at = 20
    while at + 4 <= len(answer):
        kind, size = struct.unpack_from("!HH", answer, at)
        value = answer[at + 4 : at + 4 + size]
        if kind == 0x0020 and len(value) in (8, 20):  # XOR-MAPPED-ADDRESS
            port = struct.unpack_from("!H", value, 2)[0] ^ (COOKIE >> 16)
            key = struct.pack("!I", COOKIE) + transaction
            address = bytes(byte ^ key[i] for i, byte in enumerate(value[4:]))
            family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
            return [socket.inet_ntop(family, address), port]
        at += 4 + size + (-size % 4)
    return []


def ask(sock: socket.socket, servers: dict[str, Any]) -> dict[str, list[Any]]:
    """What each STUN server sees of this one socket: that they agree is what makes a router predictable."""
    requests = {name: request() for name in servers}
    seen: dict[str, list[Any]] = {}
    for _ in range(TRIES):
        for name, address in servers.items():
            if name not in seen:
                with suppress(OSError):
                    sock.sendto(requests[name], address)
        until = time.monotonic() + PAUSE_S
        while len(seen) < len(servers) and time.monotonic() < until:
            if not select.select([sock], [], [], max(0.0, until - time.monotonic()))[0]:
                continue
            try:
                answer = sock.recv(2048)
            except OSError:
                continue
            for name, sent in requests.items():
                found = mapped(answer, sent[8:20])
                if found:
                    seen[name] = found
        if len(seen) == len(servers):
            break
    return seen


def relay(host: str, port: int, transport: str) -> str:
    """ "" if a TURN server answers there, or why not."""
    try:
        if transport == "udp":
            where = socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0]
            with socket.socket(where[0], socket.SOCK_DGRAM) as sock:
                return "" if ask(sock, {"relay": where[4]}) else "no answer over UDP"
        with socket.create_connection((host, port), timeout=4) as tcp:
            if transport == "tls":
                with ssl.create_default_context().wrap_socket(tcp, server_hostname=host):
                    pass
        return ""
    except OSError as error:
        return str(error)


def firewalls(interface: str) -> dict[str, str]:
    """What each firewall's own command shows. None of them changes anything."""
    found = {}
    for name, argv in FIREWALLS.items():
        if name == "firewalld" and interface:
            zone = output(["firewall-cmd", "--get-zone-of-interface=" + interface]).strip()
            argv = [*argv, "--zone=" + zone] if zone and " " not in zone else argv
        found[name] = output(argv)[:4_000_000]
    return {name: text for name, text in found.items() if text.strip()}


# --- echo -------------------------------------------------------------------------------------------


def echo(ports: list[int], nonce: bytes, ttl_s: float) -> None:
    """Answers what begins with the nonce, so that nobody can use it to send datagrams to others."""
    family, _ = reachable([])
    free, busy = bound(ports, family)
    say(f"LISTEN {len(free)} BUSY {json.dumps(busy)}")
    until = time.monotonic() + ttl_s
    while free and time.monotonic() < until:
        for sock in select.select(free, [], [], max(0.0, until - time.monotonic()))[0]:
            try:
                data, sender = sock.recvfrom(256)
            except OSError:
                continue
            if data == nonce + b"|bye":
                return
            if data.startswith(nonce + b"|"):
                with suppress(OSError):
                    sock.sendto(data + f"|{sender[0]}|{sender[1]}".encode(), sender)
