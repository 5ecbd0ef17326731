"""`voicedeploy up` to Fly, killed after each of its changes in turn: the next plain `up` makes it right, and no call
that runs meanwhile is cut."""

import json
import re
import time

import pytest

from tests.lab.desk import APP, Desk
from tests.providers.fly.standin import Standin, Trap
from tests.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

LEASE_S = 61


def killed(desk: Desk, fly: Standin, changes: int, *words: str) -> bool:
    """`up`, killed as soon as the platform has seen so many changes of it; False where it made fewer."""
    before = len(fly.changes)
    up = desk.begin("up", "--yes", *words)
    while len(fly.changes) - before < changes:
        if up.poll() is not None:
            return False
        time.sleep(0.002)
    up.kill()
    up.communicate()
    return True


def whole(desk: Desk, fly: Standin, count: int) -> str:
    """One generation of `count` machines is live, callers are let in to each of them and to no other. Its release."""
    live = [m for m in fly.app(APP).alive() if m.config["metadata"].get("voicedeploy-live") == "1"]
    release = {m.config["metadata"]["voicedeploy-release"] for m in live}
    assert len(live) == count and len(release) == 1, desk.machines()
    assert all(m.state == "started" and not m.cordoned for m in live)
    kept = [m for m in fly.app(APP).alive() if m not in live]
    assert all(m.config["metadata"].get("voicedeploy-live") == "0" for m in kept), desk.machines()
    return str(release.pop())


# App, two addresses, key; then each machine is made, and answers; the call on one; then each is let in, and recorded.
# Of two machines it is told where one is ahead of the other.
@pytest.mark.parametrize(
    ("machines", "changes"), [(1, 1), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (2, 5), (2, 10), (2, 12)]
)
def test_a_first_up(desk: Desk, fly: Standin, machines: int, changes: int) -> None:
    desk.spec(slots=machines + 1)
    assert killed(desk, fly, changes)
    fly.clock.advance(LEASE_S)
    up = desk.up("--json")
    assert up.code == 0, up
    if up.json["changed"]:
        assert up.json["call"]["ok"]
    else:
        assert desk.run("call", "--turns", "0").code == 0
    assert whole(desk, fly, machines) == up.json["release"]
    assert len(desk.machines()) == machines
    assert "nothing to change" in desk.up().out


def test_a_second_one_under_calls(desk: Desk, fly: Standin) -> None:
    assert desk.up().code == 0
    seen: list[str] = []
    # Before them come the lease and what is asked on the machine, after them only looks. The fifth only asks whether it
    # answers, as the call does that comes after it.
    for changes in (3, 4, *range(6, 12)):
        began = desk.status()["release"]
        call = desk.talk(3)
        desk.line(f"the {changes}th")
        before = len(fly.changes)
        assert killed(desk, fly, changes)
        seen.append(fly.changes[before + changes - 1].action)
        fly.clock.advance(LEASE_S)
        up = desk.up("--json")
        assert up.code == 0, (seen, up)
        said, complaint = call.communicate(timeout=120)
        assert call.returncode == 0, (seen, said, complaint)
        assert json.loads(said)["runs"][0]["ok"], seen
        release = whole(desk, fly, 1)
        assert release == up.json["release"] != began
        # The machine that had the call ends by itself; then there is nothing left over.
        until(lambda: sorted(desk.machines().values())[-1:] == ["stopped"] or len(desk.machines()) == 1)
    assert [action for action in seen if action != "machine.exec"] == [
        "secrets.set", "machine.create", "machine.uncordon", "metadata.set", "metadata.set", "machine.destroy"
    ]  # fmt: skip


def test_interrupted(desk: Desk, fly: Standin) -> None:
    """What was begun is taken back; what serves goes on."""
    up = desk.begin("up", "--yes")
    until(lambda: any(change.action == "machine.create" for change in fly.changes))
    up.send_signal(2)
    _, complaint = up.communicate(timeout=60)
    assert up.returncode == 130, complaint
    assert "taken back" in complaint
    with pytest.raises(KeyError):
        fly.app(APP)
    first = desk.up("--json")
    assert first.code == 0, first
    desk.line("another")
    made = sum(change.action == "machine.create" for change in fly.changes)
    up = desk.begin("up", "--yes")
    until(lambda: sum(change.action == "machine.create" for change in fly.changes) > made)
    up.send_signal(2)
    _, complaint = up.communicate(timeout=60)
    assert up.returncode == 130, complaint
    assert list(desk.machines().values()) == ["started"]
    assert whole(desk, fly, 1) == first.json["release"]
    # The lease was given back too.
    assert desk.up().code == 0


def test_a_storm_of_too_many_requests(desk: Desk, fly: Standin) -> None:
    fly.trap(Trap("machine.create", status=429, times=3), Trap("machine.uncordon", status=429, times=2))
    up = desk.up("--json")
    assert up.code == 0, up
    assert len(desk.machines()) == 1
    desk.line("another")
    fly.trap(Trap("machine.create", status=429, times=100))
    refused = desk.up()
    assert refused.code == 4, refused
    assert "one request a second" in refused.err
    assert whole(desk, fly, 1) == up.json["release"]


def test_the_network_goes_in_the_middle(desk: Desk, fly: Standin) -> None:
    """What could not be taken back is said, and the next one goes on with it."""
    fly.trap(Trap("machine.exec", status=0, times=2))
    up = desk.up()
    assert up.code == 4, up
    assert "could not be taken back" in up.err
    again = desk.up("--json")
    assert again.code == 0, again
    assert len(desk.machines()) == 1
    whole(desk, fly, 1)


def test_two_at_once(desk: Desk, fly: Standin) -> None:
    first = desk.up("--json")
    assert first.code == 0, first
    desk.line("another")
    one = desk.begin("up", "--yes")
    until(lambda: any(change.action == "lease.acquire" for change in fly.changes[-3:]))
    other = desk.up()
    assert other.code == 3, other
    assert re.search(r"held by someone@example.org, expires at \d\d:\d\d:\d\d UTC", other.err), other
    _, complaint = one.communicate(timeout=120)
    assert one.returncode == 0, complaint
    assert whole(desk, fly, 1) != first.json["release"]


def test_two_first_ones_at_once(desk: Desk, fly: Standin) -> None:
    """The app's name is the lock: whoever comes second takes nothing of the first away."""
    one, other = desk.begin("up", "--yes"), desk.begin("up", "--yes")
    ends = []
    for up in (one, other):
        _, complaint = up.communicate(timeout=120)
        ends.append((up.returncode, complaint))
    assert sorted(code for code, _ in ends)[0] == 0, ends
    assert all(code in (0, 3) for code, _ in ends), ends
    assert desk.up().code == 0
    whole(desk, fly, 1)
    assert desk.run("call", "--turns", "0").code == 0
