"""The proxy before an app: balancing, replay, limits, WebSockets, and machines that sleep."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.providers.fly.house import House, limited
from tests.waiting import soon


def who(house: House, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx.get(f"{house.site}/who", headers=named).raise_for_status()
    return str(answer.json()["machine"])


def talk(house: House, path: str, text: str) -> str:
    with connect(f"{house.site.replace('http', 'ws')}{path}", proxy=None) as socket:
        socket.send(text)
        return str(socket.recv(timeout=5))


def test_a_request_and_its_body_go_through(house: House) -> None:
    house.machine()
    body = bytes(range(256)) * 3000
    assert httpx.post(f"{house.site}/echo", content=body).content == body
    pieces = httpx.post(f"{house.site}/echo", content=iter([b"one ", b"two"]))
    assert pieces.content == b"one two"


def test_the_machine_hears_who_asks(house: House) -> None:
    house.machine()
    headers = httpx.get(f"{house.site}/who", headers={"x-forwarded-for": "198.51.100.9"}).json()["headers"]
    assert headers["fly-client-ip"] == "127.0.0.1"
    assert headers["x-forwarded-for"] == "198.51.100.9, 127.0.0.1"
    assert headers["host"] == house.site.removeprefix("http://")
    assert headers["fly-request-id"]


def test_all_machines_that_are_well_and_not_cordoned_serve(house: House) -> None:
    first, second = house.machine("bot-1"), house.machine("bot-2")
    cordoned = house.machine("bot-3", cordoned=True)
    house.standin.settings.sick = {"bot-4"}
    sick = house.app.machines.create("bot-4", house.now(first).config, region="fra")  # type: ignore[arg-type]
    house.app.machines.wait(sick.id, "started")
    with ThreadPoolExecutor(6) as pool:
        served = Counter(pool.map(lambda _: httpx.get(f"{house.site}/slow?s=0.3").raise_for_status().text, range(6)))
    assert served.keys() == {first.id, second.id}
    assert served[first.id] == 3
    house.app.machines.uncordon(cordoned.id)
    house.app.machines.cordon(first.id)
    house.app.machines.cordon(second.id)
    assert who(house) == cordoned.id


def test_nobody_there(house: House) -> None:
    house.standin.settings.queue_s = 0.2
    assert httpx.get(f"{house.site}/who").status_code == 503


def test_a_machine_can_be_asked_for(house: House) -> None:
    machines = [house.machine(f"bot-{n}") for n in (1, 2)]
    for machine in machines * 2:
        assert who(house, fly_force_instance_id=machine.id) == machine.id
        assert who(house, fly_prefer_instance_id=machine.id) == machine.id
    assert who(house, fly_prefer_instance_id="nobody") in {m.id for m in machines}
    assert httpx.get(f"{house.site}/who", headers={"fly-force-instance-id": "nobody"}).status_code == 502


def test_a_cordoned_machine_is_reached_only_if_the_platform_is_kind(house: House) -> None:
    made = house.machine(cordoned=True)
    headers = {"fly-force-instance-id": made.id}
    assert httpx.get(f"{house.site}/who", headers=headers).status_code == 502
    house.standin.settings.cordoned_reachable = True
    assert httpx.get(f"{house.site}/who", headers=headers).status_code == 200


def test_a_replay_takes_the_request_with_its_body_elsewhere(house: House) -> None:
    first, second = house.machine("bot-1"), house.machine("bot-2")
    for machine, other in ((first, second), (second, first)):
        for _ in range(2):
            answer = httpx.post(
                f"{house.site}/echo?to={machine.id}", content=b"offer", headers={"fly-prefer-instance-id": other.id}
            )
            assert answer.content == b"offer"
            assert answer.headers["machine"] == machine.id
            assert answer.headers["source"].startswith(f"instance={other.id};")
            assert "state=again" in answer.headers["source"]
            assert "fly-replay" not in answer.headers


def test_a_replay_has_limits(house: House) -> None:
    first, second = house.machine("bot-1"), house.machine("bot-2")
    headers = {"fly-prefer-instance-id": first.id}
    big = httpx.post(f"{house.site}/echo?to={second.id}", content=b"x" * 1_100_000, headers=headers)
    assert big.status_code == 502
    gone = httpx.post(f"{house.site}/echo?to=nobody", content=b"x", headers=headers)
    assert gone.status_code == 502


def test_a_socket_goes_through_and_is_replayed(house: House) -> None:
    first, second = house.machine("bot-1"), house.machine("bot-2")
    for machine in (first, second, first, second):
        assert talk(house, f"/talk?to={machine.id}", "hello") == f"{machine.id} hello"


def test_many_frames_of_a_socket(house: House) -> None:
    made = house.machine()
    with connect(f"{house.site.replace('http', 'ws')}/talk", proxy=None) as socket:
        for number in range(200):
            socket.send(f"{number} " + "x" * 2000)
            assert str(socket.recv(timeout=5)).startswith(f"{made.id} {number} ")
        assert house.standin.machine("voice-bot", "bot-1").active == 1
    soon(lambda: house.standin.machine("voice-bot", "bot-1").active == 0)


def test_a_quiet_socket_is_ended(house: House) -> None:
    house.machine(idle_s=1)
    with connect(f"{house.site.replace('http', 'ws')}/talk", proxy=None, ping_interval=None) as socket:
        socket.send("hello")
        socket.recv(timeout=5)
        began = time.monotonic()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=5)
        assert 0.8 < time.monotonic() - began < 3


def test_no_more_requests_at_once_than_the_hard_limit(house: House) -> None:
    house.standin.settings.queue_s = 0.3
    house.machine(concurrency=limited(1))
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(httpx.get, f"{house.site}/slow?s=1")
        soon(lambda: house.standin.machine("voice-bot", "bot-1").active == 1)
        assert httpx.get(f"{house.site}/who").status_code == 503
        assert slow.result().status_code == 200
    assert httpx.get(f"{house.site}/who").status_code == 200


def test_a_machine_that_sleeps_is_woken_by_a_request(house: House) -> None:
    made = house.machine(autostart=True)
    house.app.machines.stop(made.id)
    house.app.machines.wait(made.id, "stopped")
    assert who(house) == made.id
    assert house.now(made).events[0].status == "started"


def test_one_without_autostart_sleeps_on(house: House) -> None:
    made = house.machine()
    house.standin.settings.queue_s = 0.3
    house.app.machines.stop(made.id)
    house.app.machines.wait(made.id, "stopped")
    assert httpx.get(f"{house.site}/who").status_code == 503
    assert house.now(made).state == "stopped"


def test_autostop_stops_what_has_no_requests(house: House) -> None:
    sleepy, awake = house.machine("bot-1", autostop="stop"), house.machine("bot-2", autostop="off")
    with connect(f"{house.site.replace('http', 'ws')}/talk?to={sleepy.id}", proxy=None) as socket:
        socket.send("hello")
        assert str(socket.recv(timeout=5)).startswith(sleepy.id)
        house.standin.clock.advance(1000)
        time.sleep(1.2)
        assert house.now(sleepy).state == "started"
    soon(lambda: house.standin.machine("voice-bot", "bot-1").active == 0)
    house.standin.clock.advance(1000)
    assert house.app.machines.wait(sleepy.id, "stopped", timeout_s=10) == "stopped"
    assert house.now(sleepy).events[1].source == "proxy"
    assert house.now(awake).state == "started"


def test_a_machine_that_dies_in_a_request(house: House) -> None:
    house.machine()
    assert httpx.get(f"{house.site}/die?code=1").status_code == 502


def test_the_address_of_an_app_is_known_before_the_app(house: House) -> None:
    assert house.standin.environment("later")["FLY_SITE_URL"] == house.standin.site("later")
    assert house.standin.site("later") != house.site
