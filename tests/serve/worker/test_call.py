"""A call's process, from its session to its end, over the real wire with real media."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.serve.worker.peer import Peer
from tests.serve.worker.rig import Worker, proc, worker

# One worker for the module: its calls are processes of their own, which is what is tested.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def zygote(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    async with worker(tmp_path_factory.mktemp("zygote"), GREETING="from the environment") as started:
        loaded = await started.wait(event="loaded")
        assert loaded["forkable"], loaded["reason"]
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def peer() -> AsyncIterator[Peer]:
    caller = Peer()
    yield caller
    await caller.close()


async def test_a_bot_is_heard_and_its_process_ends_with_the_call(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(body={"colour": "red"})
    await peer.call(child)
    assert os.getpgid(child.pid) == child.pid
    first_word = await child.wait(event="first_word")
    assert 0 < first_word["ms"] < 10_000
    await peer.close()
    await child.wait(event="state", state="disconnected")
    await child.wait(event="bot", state="finished")
    exited = await zygote.exited(child)
    assert (exited["code"], exited["signal"]) == (0, None)
    assert exited["cpu_s"] > 0
    assert exited["max_rss"] > 10 << 20
    assert f"session s-{child.name}" in child.log
    assert "greeting=from the environment" in child.log
    assert "printed by the bot" in child.log
    assert "the client has left" in child.log
    assert "printed by the bot" not in zygote.log


async def test_forked_calls_have_their_own_keys_and_names(zygote: Worker, peer: Peer) -> None:
    first, second = await zygote.fork(), await zygote.fork()
    for child in (first, second):
        child.session()
    other = Peer()
    replies = [await peer.call(first), await other.call(second)]
    assert replies[0]["answer"]["pc_id"] != replies[1]["answer"]["pc_id"]
    for secret in ("a=fingerprint:", "a=ice-pwd:", "a=ice-ufrag:", "a=ssrc:", "a=msid:"):
        mine, others = (
            {line for line in p.answer["sdp"].splitlines() if line.startswith(secret)} for p in (peer, other)
        )
        assert mine
        assert not mine & others
    await other.close()
    await zygote.exited(second)
    assert not first.eof


async def test_the_first_free_port_of_the_list_is_bound(zygote: Worker, peer: Peer) -> None:
    ports = [21917, 21918]
    first, second = await zygote.fork(), await zygote.fork()
    first.session(udp_ports=ports)
    second.session(udp_ports=ports)
    other, third = Peer(), Peer()
    try:
        await peer.call(first)
        await other.call(second)
        assert bound(peer) == {21917}
        assert bound(other) == {21918}
        late = await zygote.fork()
        late.session(udp_ports=ports)
        reply = await third.offer(late)
        assert reply["kind"] == "no-candidates"
        assert "21917, 21918" in reply["error"]
    finally:
        await other.close()
        await third.close()


async def test_a_public_address_is_offered_beside_the_local_one(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(public_ip="198.51.100.7", udp_ports=[21927, 21928], ice_servers=[{"urls": "stun:198.51.100.8:3478"}])
    started = time.monotonic()
    await peer.offer(child)
    # The public address being known, the server is not asked; it would not answer.
    assert time.monotonic() - started < 1.5
    lines = [line.split() for line in peer.answer["sdp"].splitlines() if line.startswith("a=candidate:")]
    assert {"host", "srflx"} == {line[7] for line in lines}
    assert {(line[4], line[5]) for line in lines if line[7] == "srflx"} == {("198.51.100.7", "21927")}


async def test_networks_choose_the_addresses(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(nets=["127.0.0.0/8"])
    await peer.offer(child)
    assert {address for address, _ in candidates(peer)} == {"127.0.0.1"}


async def test_one_address_is_bound_whatever_others_there_are(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(bind="127.0.0.9", public_ip="198.51.100.7", udp_ports=[21929], nets=["10.0.0.0/8"])
    await peer.call(child)
    await peer.hear()
    assert candidates(peer) == {("127.0.0.9", 21929), ("198.51.100.7", 21929)}


DEAD = {"urls": "turn:127.0.0.1:9?transport=tcp", "username": "u", "credential": "p"}


async def test_a_relay_that_is_not_there_is_said_and_the_call_goes_on(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(ice_servers=[DEAD])
    await peer.call(child)
    await peer.hear()
    assert "the TURN server 127.0.0.1:9 gave no address" in child.log


async def test_with_relay_only_no_local_address_is_named(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(ice_servers=[DEAD], relay_only=True, udp_ports=[21931])
    reply = await peer.offer(child)
    assert reply["kind"] == "no-candidates"
    assert "127.0.0.1:9 gave no address, and `relay_only` leaves no other" in reply["error"]


async def test_a_restart_with_the_same_pc_id_is_the_same_call(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(udp_ports=[21937])
    await peer.call(child)
    reply = await peer.restart(child)
    assert reply["answer"]["sdp"]
    await peer.hear()
    assert bound(peer) == {21937}
    assert [m["state"] for m in child.said if m.get("event") == "bot"] == ["started"]
    assert not any(m.get("state") == "disconnected" for m in child.said)


async def test_questions_that_cannot_be_answered(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session()
    assert (await child.ask("offer", sdp="nonsense", type="offer"))["kind"] == "bad-offer"
    assert (await child.ask("offer", sdp="v=0", type="offer"))["kind"] == "bad-offer"
    assert (await peer.offer(child, pc_id="somebody's"))["kind"] == "unknown-pc"
    assert (await child.ask("candidates", pc_id="x", candidates=[]))["kind"] == "unknown-pc"
    await peer.close()
    late = Peer()
    try:
        await late.call(child)
        candidate = {"candidate": "candidate:1 1 udp 1 198.51.100.9 9 typ host", "sdp_mid": "0", "sdp_mline_index": 0}
        good = await child.ask(
            "candidates",
            pc_id=late.pc_id,
            candidates=[candidate, {"candidate": ""} | {"sdp_mid": "0", "sdp_mline_index": 0}],
        )
        assert good["answer"] is None
        assert "error" not in good
        bad = await child.ask("candidates", pc_id=late.pc_id, candidates=[candidate | {"candidate": "what?"}])
        assert bad["kind"] == "bad-offer"
        stranger = Peer()
        assert (await stranger.offer(child))["kind"] == "unknown-pc"
        await stranger.close()
    finally:
        await late.close()


async def test_request_data_outranks_the_body_of_the_start(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(body={"do": "stubborn"})
    await peer.offer(child, request_data={"do": "leave"})
    await child.wait(event="bot", state="finished")
    assert (await zygote.exited(child))["code"] == 0


async def test_a_crash_is_reported_with_the_bots_line_and_touches_no_other_call(zygote: Worker, peer: Peer) -> None:
    good, bad = await zygote.fork(), await zygote.fork()
    good.session()
    bad.session(body={"do": "crash"})
    await peer.call(good)
    victim = Peer()
    await victim.offer(bad)
    failed = await bad.wait(event="bot", state="failed")
    assert failed["error"] == "RuntimeError: the bot gave up"
    name, line = failed["where"].split(":")
    assert name == "bot.py"
    source = (Path(__file__).with_name("bots") / name).read_text().splitlines()
    assert "the bot gave up" in source[int(line) - 1]
    assert failed["traceback"].endswith("RuntimeError: the bot gave up")
    await zygote.exited(bad)
    await victim.close()
    await peer.more(10)
    assert not good.eof


@pytest.mark.parametrize("do", ["stubborn", "block", "careless", ""])
async def test_the_front_ends_a_call_whatever_the_bot_does(zygote: Worker, peer: Peer, do: str) -> None:
    child = await zygote.fork()
    child.session(body={"do": do})
    await peer.offer(child)
    await child.wait(event="bot", state="started")
    asked = time.monotonic()
    child.send({"op": "end", "reason": "max_duration"})
    exited = await zygote.exited(child)
    # The front sends SIGKILL after 5 s: nobody gets that far.
    assert time.monotonic() - asked < 5
    said = [m for m in child.said if m.get("event") == "bot"]
    if do in ("stubborn", "block"):
        assert exited["code"] == 70
        assert said[-1]["state"] == "failed"
        assert said[-1]["where"].startswith("bot.py:")
    else:
        assert exited["code"] == 0
        assert said[-1]["state"] == "finished"


async def test_a_bot_may_write_its_notes_after_the_client_has_left(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(body={"do": "notes"})
    await peer.call(child)
    await peer.close()
    await zygote.exited(child)
    assert "notes are written" in child.log


async def test_a_call_cannot_take_the_machines_memory(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session(body={"do": "hog"}, memory=300 << 20)
    await peer.offer(child)
    exited = await zygote.exited(child)
    assert exited["signal"] is None
    assert "no more memory after" in child.log
    assert exited["max_rss"] < 900 << 20


async def test_a_call_stays_on_its_core_and_comes_first_there(zygote: Worker) -> None:
    core = max(os.sched_getaffinity(0))
    child = await zygote.fork()
    waiting = os.getpriority(os.PRIO_PROCESS, child.pid)
    child.session(cpu=core)
    await child.ask("candidates", pc_id="x", candidates=[])
    before_others = -10 if os.geteuid() == 0 else waiting
    assert (waiting, os.getpriority(os.PRIO_PROCESS, child.pid)) == (0, before_others)
    assert os.sched_getaffinity(child.pid) == {core}
    assert proc(child.pid, "oom_score_adj") == "500"
    assert proc(child.pid, "comm") == "vd-call"


@pytest.mark.lab
@pytest.mark.parametrize("do", ["", "careless", "stubborn"])
async def test_a_client_that_vanishes_frees_its_process_within_20_s(zygote: Worker, do: str) -> None:
    child = await zygote.fork()
    child.session(body={"do": do if do != "stubborn" else ""})
    peer = Peer()
    if do == "stubborn":
        await peer.offer(child, request_data={"do": do})
        await child.wait(event="state", state="connected")
    else:
        await peer.call(child)
    left = time.monotonic()
    peer.vanish()
    await child.wait(event="state", state="disconnected")
    assert time.monotonic() - left < 15
    await zygote.exited(child)
    assert time.monotonic() - left < 20


@pytest.mark.lab
async def test_a_client_that_never_connects_frees_its_process(zygote: Worker, peer: Peer) -> None:
    child = await zygote.fork()
    child.session()
    await peer.pc.setLocalDescription(await peer.pc.createOffer())
    description = peer.pc.localDescription
    asked = time.monotonic()
    await child.ask("offer", sdp=description.sdp, type=description.type)
    await zygote.exited(child)
    assert time.monotonic() - asked < 20


def candidates(peer: Peer) -> set[tuple[str, int]]:
    lines = [line.split() for line in peer.answer["sdp"].splitlines() if line.startswith("a=candidate:")]
    return {(line[4], int(line[5])) for line in lines}


def bound(peer: Peer) -> set[int]:
    return {port for _, port in candidates(peer)}
