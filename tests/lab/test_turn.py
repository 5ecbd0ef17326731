"""Calls through a real coturn, and what is said where its credentials are wrong or over, or it is not there."""

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.lab.browser import caller, chromium, speech
from tests.lab.nat.lab import CALLER, KEY, ROUTERS, Front, Lab, Network
from tests.lab.nat.relay import ADDRESSES, TURN_TCP, TURN_TLS, TURN_UDP
from voicedeploy.serve.client import FrontClient
from voicedeploy.serve.relay import minted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

SECRET = secrets.token_hex(16)
HERE = Path(__file__).parent / "nat"
RELAY = ADDRESSES[0]
BEHIND, SILENT = Network("home", "symmetric"), Network("home", "no-udp")
EXPIRED = dict(zip(("username", "credential"), minted(SECRET, "long ago", time.time() - 100), strict=True))
UNTRUSTED = f"turns:{RELAY}:5349?transport=tcp"
DEAD = f"turn:{RELAY}:3999?transport=tcp"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    lab = Lab(turn_secret=SECRET)
    try:
        lab.build()
        yield lab
    finally:
        lab.close()


def served(lab: Lab, *servers: dict[str, Any], value: str = SECRET, **more: Any) -> Front:
    transport = {"ice_servers": list(servers), "relay_only": more.pop("relay_only", False)}
    command = more.pop("command", ("-m", "voicedeploy", "serve", "--config"))
    return lab.serve(
        "home", {"transport": transport, **more}, values={"TURN_SECRET": value, "TOKEN": "token1"}, command=command
    )


def made(*urls: str) -> dict[str, Any]:
    return {"urls": list(urls), "secret": "TURN_SECRET"}


def test_a_call_with_nothing_but_the_relay(lab: Lab) -> None:
    ways = {"udp": TURN_UDP, "tcp": TURN_TCP, "tls": TURN_TLS}
    fronts = {way: served(lab, made(url), relay_only=True) for way, url in ways.items()}
    lab.until_ready(*fronts.values())
    lab.be(BEHIND)
    outcomes = lab.call_fronts({way: ("symmetric", front) for way, front in fronts.items()})  # as the fronts want it
    for way, outcome in outcomes.items():
        assert outcome.heard, f"{way}: {outcome}"
        ours, _, theirs = outcome.said.partition(" → ")
        assert ours.startswith(f"relay {RELAY}:") and theirs.startswith((f"relay {RELAY}:", f"prflx {RELAY}:")), outcome


async def test_the_page_too_has_nothing_but_the_relay(lab: Lab, tmp_path: Path) -> None:
    front = served(lab, made(TURN_UDP), relay_only=True)
    lab.until_ready(front)
    lab.be(BEHIND)
    with FrontClient(socket=front.socket) as client:
        address = f"{front.url()}#invite={client.invite(600).token}"
    there = tmp_path / "chromium"
    there.write_text(f'#!/bin/sh\nexec ip netns exec {lab.clients["cone"]} chromium "$@"\n')
    there.chmod(0o755)
    trusted = f"--unsafely-treat-insecure-origin-as-secure={front.url().rstrip('/')}"
    wav = speech(tmp_path / "says.wav", "hello", lead_s=8, tail_s=4)
    async with chromium(wav, trusted, program=there) as browser, caller(browser, address) as one:
        await one.press()
        await one.until_phase("talking")

        async def spoken() -> bool:
            return await one.figure("first-word") is not None

        await one.until("the bot's greeting", spoken)
        named = await one.addresses()
        assert named and all(f" {RELAY} " in line and " typ relay " in line for line in named), named
        assert not any(CALLER in line or ROUTERS["cone"] in line for line in named), named


def test_udp_blocked_on_both_sides(lab: Lab) -> None:
    front = served(lab, made(TURN_UDP, TURN_TLS), media={"tcp_only": True})
    lab.until_ready(front)
    lab.be(SILENT)
    outcome = lab.call_fronts({"call": ("silent", front)})["call"]
    assert outcome.heard, outcome
    assert outcome.offer_seconds < 4, "the bot did not try UDP first"


def test_a_bot_asks_the_next_relay(lab: Lab) -> None:
    front = served(lab, made(f"turn:{RELAY}:3999", TURN_TLS), relay_only=True)
    lab.until_ready(front)
    lab.be(SILENT)
    outcome = lab.call_fronts({"call": ("cone", front)})["call"]
    assert outcome.heard, outcome
    assert f"the TURN server {RELAY}:3999 gave no address within 3 s" in front.log.read_text()


def test_a_caller_without_udp_asks_the_next_relay(lab: Lab) -> None:
    front = served(lab, made(TURN_UDP, TURN_TLS))
    lab.until_ready(front)
    lab.be(BEHIND)
    assert lab.call_fronts({"call": ("silent", front)}, relay_only=True)["call"].heard


def test_the_caller_says_what_is_wrong_with_the_relay(lab: Lab) -> None:
    fronts = {
        "wrong": served(lab, made(TURN_UDP), value="another"),
        "expired": served(lab, {"urls": TURN_TLS, **EXPIRED}),
        "dead": served(lab, made(DEAD)),
        "untrusted": served(lab, made(UNTRUSTED)),
    }
    lab.until_ready(*fronts.values())
    lab.be(BEHIND)
    outcomes = lab.call_fronts({why: ("cone", front) for why, front in fronts.items()}, relay_only=True)
    assert {outcome.layer for outcome in outcomes.values()} == {"no-candidates"}
    said = {why: outcome.said for why, outcome in outcomes.items()}
    assert said["wrong"] == f"the TURN server {RELAY}:3478 (udp) refuses the credentials: 401 Unauthorized"
    expired = r"the credentials for the TURN server turn\.lab:5349 \(tls\) expired [1-9]\d{2,} s ago"
    assert re.fullmatch(expired, said["expired"]), said["expired"]
    assert said["dead"].startswith(f"the TURN server {RELAY}:3999 (tcp) does not answer: ")
    assert "its certificate is not trusted here" in said["untrusted"]
    # Nobody was told the secret, and the log has no password.
    for front in fronts.values():
        log = front.log.read_text()
        assert SECRET not in log and EXPIRED["credential"] not in log


SPEC = f"""
[bot]
name = "talker"
[transport]
turn = [
  {{ urls = ["{TURN_UDP}", "{TURN_TCP}", "{TURN_TLS}"], secret = "TURN_SECRET" }},
  {{ urls = "{TURN_TCP}", secret = "WRONG_SECRET" }},
  {{ urls = "{TURN_UDP}", username = "{EXPIRED["username"]}", credential = "{EXPIRED["credential"]}" }},
  {{ urls = ["{DEAD}", "{UNTRUSTED}"], secret = "TURN_SECRET" }},
]
"""


def test_check_says_it_too(lab: Lab, tmp_path: Path) -> None:
    lab.be(BEHIND)
    (tmp_path / "voicedeploy.toml").write_text(SPEC)

    def run(*words: str, given: str = "") -> str:
        argv = ["ip", "netns", "exec", lab.home, "env", f"--chdir={tmp_path}", f"XDG_STATE_HOME={tmp_path}/state"]
        argv += [f"{name}={value}" for name, value in lab.env().items()]
        done = subprocess.run(
            [*argv, *forked.command(*words)],
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        assert EXPIRED["credential"] not in done.stdout + done.stderr
        return done.stdout

    run("secrets", "set", "TURN_SECRET", given=SECRET)
    run("secrets", "set", "WRONG_SECRET", given="another")
    told = run("check", "--json")
    assert "findings" in told, told
    findings = json.loads(told)["findings"]
    said = [(one["code"], one["message"]) for one in findings if one["subject"] == "turn"]
    assert said[:3] == [("VD000", f"{url} gives {RELAY}") for url in (TURN_UDP, TURN_TCP, TURN_TLS)]
    assert said[3] == ("VD310", f"{TURN_TCP} refuses the credentials: 401 Unauthorized")
    assert said[4][0] == "VD311" and said[4][1].startswith(f"the credentials for {TURN_UDP} expired on 20")
    assert said[5] == ("VD312", f"{DEAD} does not answer: Connection refused; every call waits for it")
    assert said[6][0] == "VD312" and "its certificate is not trusted" in said[6][1]
    assert all(one["fix"] for one in findings if one["subject"] == "turn" and one["code"] != "VD000")


@pytest.mark.parametrize("kind", ["made here", "granted by an API"])
def test_a_call_after_the_first_credentials_are_over(lab: Lab, kind: str) -> None:
    lab.be(BEHIND)
    server: dict[str, Any] = made(TURN_TCP)
    transport: dict[str, Any] = {}
    if kind == "granted by an API":
        server = {"cloudflare": "key1", "secret": "TOKEN"}
        transport = {"cloudflare_api": f"http://{ADDRESSES[1]}:8080"}
        argv = [sys.executable, str(HERE / "cloudflare.py"), ADDRESSES[1], "8080", SECRET, TURN_TCP]
        lab.net.start(lab.servers, argv, log=lab.folder / "cloudflare.log")
    front = lab.serve(
        "home",
        {"transport": {"ice_servers": [server], "relay_only": True, **transport}, "session": {"max_duration_s": 8}},
        values={"TURN_SECRET": SECRET, "TOKEN": "token1"},
        command=(str(HERE / "hasty.py"),),
    )
    lab.until_ready(front)
    first = granted(front)
    assert lab.call_fronts({"call": ("symmetric", front)}, relay_only=True)["call"].heard
    expires = int(first["username"].partition(":")[0])
    assert expires - time.time() < 15
    assert asked_by_hand(lab, first) == "given"
    time.sleep(max(0.0, expires - time.time()) + 1.5)
    assert asked_by_hand(lab, first) == "expired"
    outcome = lab.call_fronts({"call": ("symmetric", front)}, relay_only=True)["call"]
    assert outcome.heard, outcome


def granted(front: Front) -> dict[str, Any]:
    """The relay that a client is told; the call is given up again."""
    until = time.monotonic() + 10
    with FrontClient(socket=front.socket) as client:
        while True:
            answer = client._http.post("/start", json={}, headers={"Authorization": f"Bearer {KEY}"}).json()
            client._http.delete(f"/sessions/{answer['sessionId']}")
            if servers := answer.get("iceConfig", {}).get("iceServers"):
                found: dict[str, Any] = servers[0]
                return found
            assert time.monotonic() < until, front.log.read_text()
            time.sleep(0.2)


def asked_by_hand(lab: Lab, server: dict[str, Any]) -> str:
    said = [TURN_TCP, server["username"], server["credential"]]
    program = f"from voicedeploy.turn import allocate; print(allocate(*{said!r}).kind)"
    return lab.net.run(lab.clients["cone"], sys.executable, "-c", program).strip()
