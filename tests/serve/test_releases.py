"""Two releases of one bot, drain, and what a front does when it cannot do what it should."""

import asyncio
import contextlib
import json
import socket
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serve.conftest import BEARER, Running, alive, running, until, write_config
from voicedeploy.errors import NotReady
from voicedeploy.serve import run
from voicedeploy.serve.client import FrontClient, FrontRefused, FrontUnreachable
from voicedeploy.serve.peers import no_tls

OFFER = {"sdp": "v=0", "type": "offer"}


@contextlib.asynccontextmanager
async def public(port: int) -> Any:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=no_tls()) as http:
        yield http


def client(front: Running) -> FrontClient:
    return FrontClient(socket=front.config.listen.socket)


async def test_a_new_release_takes_over(folder: Path, free_port: int) -> None:
    before = write_config(folder, {"listen": {"port": free_port}})
    after = write_config(folder, {"listen": {"port": free_port, "hold": True}, "peers": ["r1.sock"]}, release="r2")
    async with running(before) as old, running(after) as new, public(free_port) as http:
        id, pid = await old.call(finish_after=2)
        with client(new) as ours:
            assert (await asyncio.to_thread(ours.status)).listening is False
            # The new one is proved before traffic goes to it.
            started = await new.unix.post("/start", json={})
            assert (await new.unix.post(f"/sessions/{started.json()['sessionId']}/api/offer", json=OFFER)).is_success
            for _ in range(2):
                opened = await asyncio.to_thread(ours.open)
                assert (opened.listening, opened.port) == (True, free_port)
            assert (await asyncio.to_thread(ours.status)).listening is True
        with client(old) as theirs:
            for _ in range(2):
                drained = await asyncio.to_thread(theirs.drain, release_port=True)
                assert (drained.draining, drained.sessions, drained.listening) == (True, 1, False)
        for _ in range(10):
            # Each over a new connection, and each answered by the new release.
            answer = await http.get("/status", headers=BEARER | {"Connection": "close"})
            assert answer.json()["release"] == "r2"
        # The old call is reached through the new front, by its session and by its peer connection.
        answer = await http.post(f"/sessions/{id}/api/offer", json=OFFER)
        assert answer.status_code == 200, answer.text
        pc_id = answer.json()["pc_id"]
        candidates = {"pc_id": pc_id, "candidates": []}
        assert (await http.patch(f"/sessions/{id}/api/offer", json=candidates)).is_success
        assert (await http.patch("/api/offer", json=candidates)).is_success
        assert (await http.post("/api/offer", json=OFFER | {"pc_id": pc_id})).json()["pc_id"] == pc_id
        bad = await http.post(f"/sessions/{id}/api/offer", json=OFFER | {"sdp": "bad"})
        assert (bad.status_code, bad.json()["error"]["code"]) == (400, "bad-offer")
        nobody = await http.delete("/sessions/11111111-1111-4111-8111-111111111111")
        assert (nobody.status_code, nobody.json()["error"]["code"]) == (404, "unknown-session")
        # What nobody knows is not started by a peer, for whom the new front vouches.
        assert (await http.post("/api/offer", json=OFFER | {"pc_id": "pc-nobody"})).status_code == 401
        assert (await old.status())["slots"]["busy"] == 1
        assert alive(pid)
        assert await asyncio.wait_for(old.serving, 15) == 0
        assert old.log("ended", session=id)[0]["reason"] == "bot-finished"
        # An old release that is gone is no error.
        assert (await http.delete(f"/sessions/{id}")).status_code == 404


async def test_back_to_a_release_that_still_drains(folder: Path, free_port: int) -> None:
    def file(name: str, hold: bool) -> Path:
        listen = {"port": free_port, "hold": hold, "socket": f"sockets/{name}/front.sock"}
        return write_config(folder, {"peers_folder": "sockets", "listen": listen}, release=name)

    async with running(file("r1", hold=False)) as old, running(file("r2", hold=True)) as new, public(free_port) as http:
        id, _ = await old.call(finish_after=3)
        with client(new) as ours, client(old) as theirs:
            await asyncio.to_thread(ours.open)
            await asyncio.to_thread(theirs.drain, release_port=True)
            assert (await asyncio.to_thread(theirs.readyz)).reason == "draining"
            # The way back is the same way: `open` ends the drain, and both share the port for a moment.
            assert (await asyncio.to_thread(theirs.open)).port == free_port
            assert (await asyncio.to_thread(ours.drain, release_port=True)).listening is False
        assert await asyncio.wait_for(new.serving, 15) == 0
        await old.ready()
        answer = await http.get("/status", headers=BEARER | {"Connection": "close"})
        assert (answer.json()["release"], answer.json()["draining"]) == ("r1", False)
        second, _ = await old.call(finish_after=0.5)
        for call in (id, second):
            assert (await old.ended(call))["reason"] == "bot-finished"
        assert not old.serving.done()  # the drain that was ended does not end it


async def test_what_has_drained_does_not_come_back(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        with client(front) as ours:
            front_closes = asyncio.create_task(asyncio.to_thread(ours.drain, release_port=True))
            await front_closes
            with pytest.raises((FrontRefused, FrontUnreachable)):
                await asyncio.to_thread(ours.open)
        assert await asyncio.wait_for(front.serving, 15) == 0


async def test_the_live_release_opens_by_itself(folder: Path, free_port: int) -> None:
    listen = {"port": free_port, "hold": True, "live_file": "live"}
    config = write_config(folder, {"listen": listen})
    for live, listening in (("r0", False), ("r1", True)):
        (folder / "live").write_text(f"{live}\n")
        async with running(config) as front:
            assert (await front.status())["listening"] is listening


async def test_peers_that_come_later(folder: Path, free_port: int) -> None:
    where = {"peers_folder": "sockets"}
    files = {
        name: write_config(
            folder, where | {"listen": {"port": free_port, "hold": True, "socket": f"sockets/{name}/front.sock"}},
            release=name,
        )
        for name in ("r1", "r2")
    }  # fmt: skip
    async with running(files["r1"]) as first, running(files["r2"]) as second, public(free_port) as http:
        with client(first) as ours, client(second) as theirs:
            await asyncio.to_thread(theirs.open)
            id, _ = await second.call(finish_after=2)
            # `first` started before `second` and finds it all the same: it may share its port and knows its calls.
            await asyncio.to_thread(ours.open)
            await asyncio.to_thread(theirs.drain, release_port=True)
        assert (await http.post(f"/sessions/{id}/api/offer", json=OFFER)).status_code == 200


async def test_a_port_that_a_stranger_has(folder: Path, free_port: int) -> None:
    file = write_config(folder, {"listen": {"port": free_port, "hold": True}})
    async with running(file, ready=False) as front:
        with socket.socket() as stranger, client(front) as ours:
            # Sharing a port is for two releases of one bot, not for whoever allows it.
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            stranger.bind(("127.0.0.1", free_port))
            stranger.listen()
            with pytest.raises(FrontRefused, match=str(free_port)) as caught:
                await asyncio.to_thread(ours.open)
            assert (caught.value.status, caught.value.front_code) == (409, "port-taken")
            assert caught.value.hint
            assert (await front.status())["listening"] is False
            second = write_config(folder, {"listen": {"port": free_port}}, release="r2")
            with pytest.raises(NotReady, match="in use") as refused:
                async with running(second, ready=False):
                    pass
            assert (refused.value.code, refused.value.exit_code) == ("port-taken", 3)
        with client(front) as ours:
            assert (await asyncio.to_thread(ours.open)).listening


async def test_the_unix_socket(folder: Path) -> None:
    file = write_config(folder, {"listen": {"hold": True}})
    async with running(file) as front:
        assert stat.S_IMODE(front.config.listen.socket.stat().st_mode) == 0o600
        with pytest.raises(NotReady, match="another front serves it"):
            async with running(file):
                pass
        with client(front) as ours:
            assert (await asyncio.to_thread(ours.readyz)).ready
            assert (await asyncio.to_thread(ours.start_token)).expires_in_s == 60
            assert (await asyncio.to_thread(ours.invite, 600)).expires_in_s == 600
            assert "voicedeploy_slots 4.0" in await asyncio.to_thread(ours.metrics)
    assert not front.config.listen.socket.exists()
    with client(front) as ours, pytest.raises(FrontUnreachable, match="no front answers at"):
        ours.status()
    # A socket that a killed front left behind.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(front.config.listen.socket))
    async with running(file):
        pass


async def test_a_client_with_the_key(folder: Path) -> None:
    async with running(write_config(folder, {}, bot="import not_there\n"), ready=False) as front:
        await until(lambda: bool(front.log("bot-failed-to-load")))
        url = str(front.http.base_url)
        with FrontClient(url=url, key="k" * 40) as ours:
            assert "not_there" in (await asyncio.to_thread(ours.readyz)).error
            assert (await asyncio.to_thread(ours.status)).release == "r1"
        with FrontClient(url=url) as stranger:
            assert (await asyncio.to_thread(stranger.readyz)).error == ""
            with pytest.raises(FrontRefused) as caught:
                await asyncio.to_thread(stranger.status)
            assert (caught.value.status, caught.value.front_code) == (401, "unauthorized")


async def test_an_idle_front_that_drains_ends(folder: Path) -> None:
    async with running(write_config(folder, {})) as front:
        with client(front) as ours:
            assert (await asyncio.to_thread(ours.drain)).sessions == 0
        assert await asyncio.wait_for(front.serving, 10) == 0


async def test_a_drain_has_an_end(folder: Path) -> None:
    async with running(write_config(folder, {"drain": {"timeout_s": 0.3}})) as front:
        id, _ = await front.call()
        await front.unix.post("/drain", json={})
        refused = await front.http.post("/start", json={}, headers=BEARER)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert await asyncio.wait_for(front.serving, 10) == 0
        assert front.log("ended", session=id)[0]["reason"] == "drain"


async def test_a_front_that_may_not_outlive_a_failed_bot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "FAILURE_LINGER_S", 0.5)
    file = write_config(folder, {"bot": {"exit_on_failure": True}}, bot="import not_there\n")
    began = time.monotonic()
    async with running(file, ready=False) as front:
        await until(lambda: bool(front.log("bot-failed-to-load")))
        assert "not_there" in (await front.unix.get("/readyz")).json()["traceback"]
        assert await asyncio.wait_for(front.serving, 10) == 4
        assert time.monotonic() - began < 30
        assert front.log("exit")[0]["code"] == 4


@pytest.mark.lab
async def test_a_full_disk_stops_no_call(folder: Path, tiny_disk: Path) -> None:
    async with running(write_config(folder, {"log": {"file": str(tiny_disk / "log")}})) as front:
        (tiny_disk / "filler").write_bytes(b"x" * (40 << 10))
        pids = [(await front.call(print="x" * 16_000, finish_after=0.05))[1] for _ in range(3)]
        await until(lambda: not any(alive(pid) for pid in pids))
        dropped = (await front.status())["log_dropped"]
        assert dropped > 0
        assert f"voicedeploy_log_lines_dropped {dropped}.0" in (await front.unix.get("/metrics")).text
        await front.call()
        (tiny_disk / "filler").unlink()
        await front.call()
        events = []
        for line in (tiny_disk / "log").read_text().splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line)["event"])
        assert "log-dropped" in events
        assert events.index("log-dropped") < len(events) - 1
