"""Every transport on every target of the table, by the real commands: `targets` and `check` say the same."""

import json
import re
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
from voicedeploy_providers.local import Local

from tests.test_cli import typed
from tests.test_targets import assert_works
from voicedeploy import registry, targets
from voicedeploy.deployment import Deployment
from voicedeploy.network import BoundUdp, Offer, Transport
from voicedeploy.plan import Plan
from voicedeploy.provider import Finding
from voicedeploy.spec import Spec

ROWS = targets.load()
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
PACKETS = {"udp-in": {"VD110", "VD111"}, "udp-out": {"VD110"}}
CODES = {**PACKETS, "http": {"VD112"}, "hosting": {"VD113"}}


class Place(Local):
    """A provider for one row of the table, as a third party would write it: it offers what the row says."""

    row: ClassVar[targets.Target]

    def offer(self, spec: Spec, *, closely: bool) -> Offer:
        return targets.offer(self.row)

    def check(self, spec: Spec) -> list[Finding]:
        return [Finding("VD000", "ok", "host", "is there")]

    def find(self, bot: str) -> Deployment | None:
        return Deployment(self.name, bot, "1234567", "webrtc", "http://127.0.0.1:9/")

    def plan(self, want: Spec | None, have: Deployment | None) -> Plan:
        return Plan(self.name, "front-desk", "1234567", "1234567")


PLACES: Mapping[str, type[Place]] = {row.name: type(row.name, (Place,), {"name": row.name, "row": row}) for row in ROWS}
globals().update({f"place_{name.replace('-', '_')}": place for name, place in PLACES.items()})


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    points = [EntryPoint(name, f"{__name__}:place_{name.replace('-', '_')}", registry.GROUP) for name in PLACES]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)


def checked(project: Path, provider: str, transport: str, *more: str) -> tuple[int, dict[str, Any]]:
    said = typed("check", "--provider", provider, "--transport", transport, "--json", *more, cwd=project)
    return said.returncode, json.loads(said.stdout)


@rows
def test_targets_and_check_agree_and_a_refusal_is_told_in_full(row: targets.Target, small_project: Path) -> None:
    (listed,) = json.loads(typed("targets", row.name, "--json", cwd=small_project).stdout)["targets"]
    for transport, verdict in targets.verdicts(row).items():
        code, said = checked(small_project, row.name, transport)
        assert (said["verdict"], said["reason"]) == (verdict.word, verdict.reason)
        assert (said["verdict"] != "no") == (transport in listed["transports"])
        assert code == (3 if verdict.word == "no" else 0)
        if verdict.word != "no":
            continue
        first = said["findings"][0]
        assert (first["severity"], first["subject"]) == ("error", "packets")
        assert first["code"] in CODES[verdict.layer]
        refused = typed("check", "--provider", row.name, "--transport", transport, cwd=small_project)
        assert refused.returncode == 3 and first["code"] in refused.stdout
        evidence = row.evidence[0]
        for text in (refused.stderr, refused.stdout, first["message"]):
            assert verdict.reason in text
            assert f"layer: {'UDP ' if verdict.layer.startswith('udp') else ''}" in text
            assert "UDP in: " in text and "UDP out: " in text
            assert evidence.date in text and evidence.where in text
        hint = refused.stderr.partition("hint: ")[2].split("\n      ")
        assert hint[0]
        for way in hint:
            assert_works(way.strip())


@rows
def test_only_what_packets_forbid_can_be_overruled(row: targets.Target, small_project: Path) -> None:
    for transport, verdict in targets.verdicts(row).items():
        plain, before = checked(small_project, row.name, transport)
        code, said = checked(small_project, row.name, transport, "--i-tested-udp")
        assert (said["verdict"], said["reason"]) == (verdict.word, verdict.reason)
        if verdict.word == "no" and verdict.layer in PACKETS:
            assert (plain, code) == (3, 0)
            assert said["overruled"] is True
            assert (said["findings"][0]["code"], said["findings"][0]["severity"]) == ("VD114", "warning")
            proof = "a call must prove it" if verdict.layer == "udp-in" else "only somebody in the room can tell"
            assert proof in said["findings"][0]["message"]
        else:
            assert (code, said) == (plain, before)


@pytest.mark.parametrize("transport", ["webrtc", "daily"])
def test_cloud_run_is_refused_by_name_and_says_what_works(small_project: Path, transport: str) -> None:
    _, said = checked(small_project, "cloudrun", transport)
    first = said["findings"][0]
    assert first["code"] == "VD110"
    assert "pipecat-ai/pipecat#1458" in first["message"] and "2025-03-26" in first["message"]
    assert "`twilio`" in first["fix"] and "`websocket`" in first["fix"]
    for phone in ("twilio", "telnyx", "plivo", "exotel", "websocket"):
        assert checked(small_project, "cloudrun", phone)[0] == 0


def test_fly_lists_what_it_would_take_and_passes_with_a_relay(small_project: Path) -> None:
    _, said = checked(small_project, "fly", "webrtc")
    first = said["findings"][0]
    assert first["code"] == "VD111"
    for condition in ("dedicated IPv4", "fly-global-services", "same port inside and outside"):
        assert condition in first["message"]
    assert "TURN relay" in first["fix"] and "`daily`" in first["fix"]
    relay = '[transport]\nturn = [{ urls = "turn:t.example.org:3478", username = "u", credential = "c" }]\n'
    spec = small_project / "voicedeploy.toml"
    spec.write_text(relay + spec.read_text())
    assert checked(small_project, "fly", "webrtc")[1]["verdict"] == "relay"


def test_up_is_refused_too_and_with_the_override_must_be_proved(small_project: Path) -> None:
    words = ("up", "--provider", "cloudrun", "--yes")
    refused = typed(*words, cwd=small_project)
    assert refused.returncode == 3
    assert "the target cannot carry `webrtc`" in refused.stderr
    unproved = typed(*words, "--i-tested-udp", "--no-call", cwd=small_project)
    assert unproved.returncode == 2
    assert "--no-call" in unproved.stderr
    # Nothing is left to change, and still the call is made; nobody answers it.
    called = typed(*words, "--i-tested-udp", cwd=small_project)
    assert called.returncode == 4, called
    assert "VD114" in called.stderr and re.search("not heard", called.stderr)


def test_what_was_set_up_unproven_warns_and_must_be_proved(
    small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every `up`, whether something is left to change or not."""
    set_up = Offer(BoundUdp("two ports", "10.0.0.7", "at a paid address", ready=True, unproven="nobody has seen it"))
    monkeypatch.setattr(PLACES["fly"], "offer", lambda self, spec, *, closely: set_up)
    code, said = checked(small_project, "fly", "webrtc")
    assert (code, said["verdict"]) == (0, "direct")
    first = said["findings"][0]
    assert (first["code"], first["severity"]) == ("VD116", "warning")
    assert first["message"] == "Nobody has seen it. A call must prove it"
    words = ("up", "--provider", "fly", "--yes")
    unproved = typed(*words, "--no-call", cwd=small_project)
    assert unproved.returncode == 2
    assert "the call is what proves it" in unproved.stderr
    called = typed(*words, cwd=small_project)
    assert called.returncode == 4, called
    assert "VD116" in called.stderr and "not heard" in called.stderr
    assert checked(small_project, "fly", "websocket")[1]["findings"][0]["code"] != "VD116"


def test_a_measured_refusal_cites_the_measurement_and_not_the_table(small_project: Path) -> None:
    from voicedeploy.network import Known, NoUdp

    offered = Offer(NoUdp("0 of 16 ports answered"), udp_out=Known.YES)
    refusal = targets.refusal(targets.find("vm"), Transport.WEBRTC, offered=offered)
    assert refusal is not None
    text = "\n".join(refusal.lines())
    assert "UDP in: no" in text and "looked at there, just now" in text
    assert not any(fact.says in text for fact in targets.find("vm").evidence)
