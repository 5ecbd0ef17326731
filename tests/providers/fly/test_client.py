"""Every call of the client, against the stand-in."""

from itertools import islice

import pytest
from voicedeploy_providers.fly.api import (
    Changed,
    Config,
    Fly,
    Guest,
    LeaseHeld,
    Machine,
    NotFound,
    Service,
    StopConfig,
    WaitedTooLong,
)

from tests.providers.fly.house import OURS, House, config
from tests.providers.fly.standin import Standin
from tests.waiting import soon


def test_apps_are_made_found_and_deleted(fly: Fly) -> None:
    assert fly.apps.get("voice-bot") is None
    assert fly.apps.create("voice-bot", "personal").name == "voice-bot"
    found = fly.apps.get("voice-bot")
    assert found is not None
    assert found.organization.slug == "personal"
    assert [app.name for app in fly.apps.list("personal")] == ["voice-bot"]
    fly.apps.delete("voice-bot")
    fly.apps.delete("voice-bot")
    assert fly.apps.list("personal") == ()


def test_a_machine_from_its_making_to_its_end(house: House) -> None:
    machines = house.app.machines
    made = machines.create("bot-1", config(), region="ams", cordoned=True, launch=False)
    assert (made.state, made.region, made.name, made.metadata) == ("created", "ams", "bot-1", OURS)
    machines.start(made.id)
    assert machines.wait(made.id, "started", version=made.instance_id) == "started"
    soon(lambda: house.now(made).healthy)
    machines.uncordon(made.id)
    machines.cordon(made.id)
    machines.stop(made.id, signal="SIGTERM", timeout_s=5)
    assert machines.wait(made.id, "stopped", "failed") == "stopped"
    exits = [event.exit_code for event in house.now(made).events if event.type == "exit"]
    assert exits == [143]
    machines.destroy(made.id)
    assert machines.wait(made.id, "destroyed") == "destroyed"
    assert machines.get(made.id) is None
    machines.destroy(made.id)


def test_machines_are_listed_by_what_they_carry(house: House) -> None:
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    other = house.app.machines.create("db-1", config(metadata={"team": "other"}), region="ams", launch=False)
    assert {m.id for m in house.app.machines.list()} == {made.id, other.id}
    assert [m.id for m in house.app.machines.list(OURS)] == [made.id]
    assert [m.id for m in house.app.machines.list(region="ams")] == [other.id]


def test_a_signal_reaches_the_program(house: House) -> None:
    made = house.machine()
    house.app.machines.signal(made.id, "SIGKILL")
    assert house.app.machines.wait(made.id, "stopped") == "stopped"
    exits = [event.exit_code for event in house.now(made).events if event.type == "exit"]
    assert exits[-1] == 137


def test_an_update_is_a_new_version_and_keeps_what_we_do_not_know(house: House) -> None:
    made = house.app.machines.create("bot-1", config(statics=[]), region="fra", launch=False)
    assert made.config is not None
    new = made.config.model_copy(update={"env": {"PORT": "7860", "NEW": "1"}})
    assert "statics" in new.wire()
    updated = house.app.machines.update(made, new)
    assert updated.instance_id != made.instance_id
    assert house.app.machines.wait(made.id, "started", version=made.instance_id) == "replaced"
    assert house.app.machines.wait(made.id, "stopped", version=updated.instance_id) == "stopped"
    with pytest.raises(Changed):
        house.app.machines.update(made, new)


def test_a_lease_keeps_others_out_until_it_ends(house: House) -> None:
    machines = house.app.machines
    made = machines.create("bot-1", config(), region="fra", launch=False, lease_s=20)
    assert made.nonce
    for change in (
        lambda: machines.note(made.id, {"a": "1"}),
        lambda: machines.cordon(made.id),
        lambda: machines.start(made.id),
        lambda: machines.lease(made.id, 10),
        lambda: machines.destroy(made.id),
    ):
        with pytest.raises(LeaseHeld):
            change()
    machines.note(made.id, {"a": "1"}, nonce=made.nonce)
    assert machines.lease(made.id, 60, nonce=made.nonce).nonce == made.nonce
    house.standin.clock.advance(40)
    with pytest.raises(LeaseHeld):
        machines.cordon(made.id)
    house.standin.clock.advance(25)
    machines.cordon(made.id)
    with machines.leased(made.id, 30, "deploying") as nonce:
        machines.uncordon(made.id, nonce=nonce)
        with pytest.raises(LeaseHeld, match="held"):
            machines.uncordon(made.id)
    machines.uncordon(made.id)
    machines.release(made.id, "any")


def test_metadata_changes_in_place(house: House) -> None:
    machines = house.app.machines
    made = machines.create("bot-1", config(), region="fra", launch=False)
    machines.note(made.id, {"release": "r7", "note": "x"})
    machines.note(made.id, {"note": ""}, version=made.instance_id)
    assert machines.metadata(made.id) == {**OURS, "release": "r7"}
    assert house.now(made).instance_id == made.instance_id
    with pytest.raises(Changed):
        machines.note(made.id, {"release": "r8"}, version="01OLD")
    assert [m.id for m in machines.list({"release": "r7"})] == [made.id]


def test_waiting_is_repeated_up_to_its_time(house: House) -> None:
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    with pytest.raises(WaitedTooLong) as late:
        house.app.machines.wait(made.id, "started", timeout_s=2.2)
    assert "2.2 s" in late.value.message
    assert late.value.hint
    assert sum(seen.action == "machine.wait" for seen in house.standin.requests) >= 2


def test_waiting_for_what_is_gone(house: House) -> None:
    assert house.app.machines.wait("nobody", "destroyed") == "destroyed"
    with pytest.raises(NotFound):
        house.app.machines.wait("nobody", "started")


def test_secrets_go_in_and_only_digests_come_out(house: House) -> None:
    secrets = house.app.secrets
    assert secrets.update({"KEY": "one", "OTHER": "two"}) == 1
    before = {secret.name: secret.digest for secret in secrets.list()}
    house.standin.clock.advance(10)
    assert secrets.update({"KEY": "three", "OTHER": None, "NEVER": None}) == 3
    after = {secret.name: secret.digest for secret in secrets.list()}
    assert after.keys() == {"KEY"}
    assert after["KEY"] != before["KEY"]
    assert "three" not in str(secrets.list())
    assert secrets.update({}) == 0


def test_addresses_are_assigned_once(house: House) -> None:
    ips = house.app.ips
    first = ips.assign("v4")
    assert (first.kind, first.shared, first.region) == ("v4", False, "global")
    assert ips.assign("v4") == first
    house.standin.clock.advance(10)
    assert ips.assign("shared_v4").kind == "shared_v4"
    assert ips.assign("v6").kind == "v6"
    assert ips.assign("private_v6").kind == "private_v6"
    house.standin.clock.advance(10)
    ips.release(first.ip)
    ips.release(first.ip)
    assert {ip.kind for ip in ips.list()} == {"shared_v4", "v6", "private_v6"}


def test_regions_and_room_in_them(standin: Standin, fly: Fly) -> None:
    regions = fly.platform.regions()
    assert regions.nearest == "fra"
    assert {"fra", "ams"} <= {region.code for region in regions.regions}
    guest = Guest(cpu_kind="performance", cpus=1, memory_mb=2048)
    standin.settings.full_regions = {"fra"}
    assert [place.region for place in fly.platform.placements("personal", guest, ["fra", "eu"])][:2] == ["ams", "arn"]
    assert standin.changes == []


def test_logs_are_read_in_pages_and_followed(house: House) -> None:
    made = house.machine()
    soon(lambda: "Uvicorn running" in "".join(line.message for line in house.app.logs.page().lines))
    page = house.app.logs.page(machine=made.id)
    assert {line.instance for line in page.lines} == {made.id}
    assert house.app.logs.page(machine=made.id, region="ams").lines == ()
    later = house.app.logs.page(after=page.next_token).lines
    assert not {line.id for line in later} & {line.id for line in page.lines}
    followed = list(islice(house.app.logs.follow(machine=made.id), 5))
    assert len({line.id for line in followed}) == 5


def test_a_long_log_is_read_to_its_end(house: House) -> None:
    made = house.machine()
    soon(lambda: "Uvicorn running" in "".join(line.message for line in house.app.logs.page().lines))
    log = house.standin.app(house.app.name).log
    log += [{**log[-1], "id": f"{len(log) + number:012d}"} for number in range(1, 251)]
    page = house.app.logs.so_far(machine=made.id)
    assert [line.id for line in page.lines] == [line["id"] for line in log]
    assert house.app.logs.page(machine=made.id, after=page.next_token).lines == ()


def test_certificates(house: House) -> None:
    certificates = house.app.certificates
    assert certificates.get("talk.example.org") is None
    assert certificates.request("talk.example.org").hostname == "talk.example.org"
    found = certificates.get("talk.example.org")
    assert found is not None
    assert not found.configured
    certificates.remove("talk.example.org")
    certificates.remove("talk.example.org")


def test_answers_are_read_with_more_than_is_known_and_with_nulls() -> None:
    machine = Machine.model_validate(
        {
            "id": "1",
            "checks": None,
            "events": None,
            "brand_new": {"a": 1},
            "config": {
                "image": "i",
                "stop_config": {"timeout": 300_000_000_000},
                "services": [{"protocol": "tcp", "internal_port": 1, "autostop": True, "ports": None, "new": 1}],
                "init": {"cmd": ["a", "b"]},
                "mounts": [{"path": "/data"}],
            },
        }
    )
    assert machine.config is not None
    assert machine.config.services[0].autostop == "stop"
    assert machine.config.stop_config == StopConfig(timeout="300s")
    assert machine.config.wire()["mounts"] == [{"path": "/data"}]
    assert Service(protocol="udp", internal_port=4, autostop="off").wire() == {
        "protocol": "udp",
        "internal_port": 4,
        "autostop": "off",
    }


def test_env_and_nonces_are_not_in_what_is_shown() -> None:
    machine = Machine(id="1", nonce="n0nce", config=Config(image="i", env={"KEY": "sesame"}))
    assert "sesame" not in repr(machine)
    assert "n0nce" not in repr(machine)
