"""Bots behind the stand-in of Pipecat Cloud: built of what would be uploaded, and heard through the session proxy."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin
from voicedeploy_providers.pipecat_cloud import PipecatCloud as Provider
from voicedeploy_providers.pipecat_cloud.api import AgentRecord, PipecatCloud, Places, Wanted
from voicedeploy_providers.pipecat_cloud.context import Context, Recipe, artifacts, pack

from tests.lab.local import REQUIREMENTS, TALKER, Place, Result
from tests.lab.slowlink import SlowLink, slow_link
from tests.providers.pipecat_cloud.folders import NASTY, plain, write
from tests.providers.pipecat_cloud.standin import Standin
from tests.test_reach import silent as silent
from tests.waiting import until
from voicedeploy.call import Callee, CallOptions, Run, Script, call
from voicedeploy.init.make import Services, artifacts_of
from voicedeploy.network import Transport
from voicedeploy.reach import handshakes_ms
from voicedeploy.spec import Spec, load

pytestmark = pytest.mark.lab

NAME = "talker"
RECIPE = Recipe(NAME, "us-west", min_agents=1, max_agents=1, secret_set="talker-secrets")  # noqa: S106


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        standin.settings.building_s = 0.5
        yield standin
        wrong = list(standin.violations)
    assert not wrong


@pytest.fixture
def cloud(standin: Standin) -> Iterator[PipecatCloud]:
    with PipecatCloud(standin.private, standin.public, standin.places, clock=standin.clock) as cloud:
        yield cloud


@pytest.fixture
def talker(tmp_path: Path) -> Spec:
    root = tmp_path / "project"
    write(root, "bot.py", TALKER.read_text())
    write(root, "requirements.txt", REQUIREMENTS)
    write(root, "voicedeploy.toml", f'[bot]\nname = "{NAME}"\nsecrets = ["GREETS_S"]\n')
    write(root, ".env", "GREETS_S=0.5\nOPENAI_API_KEY=sk-hunter2hunter2hunter2\n")
    return load(root / "voicedeploy.toml")


def deployed(cloud: PipecatCloud, context: Context, *, most: int = 1) -> AgentRecord:
    """As a deployment goes: secrets, build, agent, and until it is live."""
    cloud.secrets.put("talker-secrets", {"GREETS_S": "0.5"}, region="us-west")
    cloud.secrets.wait("talker-secrets")
    build = cloud.builds.wait(cloud.builds.create(context.packed, context.hash, region="us-west").id)
    wanted = Wanted(
        build_id=build.id,
        secret_set=RECIPE.secret_set,
        min_agents=1,
        max_agents=most,
        max_session_s=RECIPE.max_session_s,
    )
    made = cloud.agents.create(NAME, wanted, region="us-west")
    return cloud.agents.wait(NAME, made.desired_deployment_id, timeout_s=3000)


def heard(standin: Standin, options: CallOptions | None = None, turns: int = 1) -> Run:
    callee = Callee.parse(standin.site(NAME), key=standin.org.public)
    return asyncio.run(call(callee, Script.demo(turns), options or CallOptions(quiet_s=0.5)))


def test_a_call_through_the_proxy_is_heard(standin: Standin, cloud: PipecatCloud, talker: Spec) -> None:
    deployed(cloud, pack(talker, artifacts(talker, RECIPE)))
    for _ in range(2):
        # The agent of the call before may still be at its end.
        run = heard(standin, CallOptions(quiet_s=0.5, busy_wait_s=20))
        assert run.ok, run.error
        assert run.greeted and run.answered == 1
        assert run.first_word_ms is not None and run.first_word_ms < 3000
    first, second = reversed(cloud.agent(NAME).sessions.list())
    assert first.ended_at and first.completion_status == "success" and not first.cold_start
    assert second.session_id == run.session_id
    assert any(run.session_id in line.log for line in cloud.agent(NAME).logs.last(session=run.session_id))


def test_who_calls_beyond_what_there_may_be_is_told_so(standin: Standin, cloud: PipecatCloud, talker: Spec) -> None:
    deployed(cloud, pack(talker, artifacts(talker, RECIPE)))
    holding = cloud.agent(NAME).sessions.start("webrtc")
    busy = heard(standin)
    assert busy.error is not None and busy.error.layer == "busy"
    cloud.agent(NAME).sessions.stop(holding.session_id)
    patient = heard(standin, CallOptions(quiet_s=0.5, busy_wait_s=20))
    assert patient.ok, patient.error
    stranger = replace(Callee.parse(standin.site(NAME)), key="pk_of_somebody")
    refused = asyncio.run(call(stranger, Script.demo(0), CallOptions()))
    assert refused.error is not None and refused.error.layer == "refused"


def test_a_running_call_outlives_a_deployment(standin: Standin, cloud: PipecatCloud, talker: Spec) -> None:
    before = deployed(cloud, pack(talker, artifacts(talker, RECIPE)), most=2)

    async def meanwhile() -> tuple[Run, AgentRecord]:
        callee = Callee.parse(standin.site(NAME), key=standin.org.public)
        calling = asyncio.create_task(call(callee, Script.demo(3), CallOptions(quiet_s=0.5)))
        while not standin.agent(NAME).active():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
        after = await asyncio.to_thread(cloud.agents.update, before, Wanted(), force=True)
        live = await asyncio.to_thread(cloud.agents.wait, NAME, after.desired_deployment_id, timeout_s=3000)
        return await calling, live

    run, live = asyncio.run(meanwhile())
    assert run.ok and run.answered == 3, run.error
    next_one = heard(standin)
    assert next_one.ok
    newest, oldest = cloud.agent(NAME).sessions.list()
    assert oldest.deployment_id == before.desired_deployment_id
    assert newest.deployment_id == live.desired_deployment_id


def test_the_bot_that_init_makes_is_heard(standin: Standin, cloud: PipecatCloud, tmp_path: Path) -> None:
    for artifact in artifacts_of(NAME, Transport.WEBRTC, Services.OFFLINE, "local"):
        write(tmp_path, artifact.path, artifact.text)
    spec = load(tmp_path / "voicedeploy.toml")
    deployed(cloud, pack(spec, artifacts(spec, RECIPE)))
    run = heard(standin)
    assert run.ok and run.answered == 1, run.error


# --- the vendor's own tool ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the vendor's package in it, and nothing of ours."""
    home, uv = tmp_path_factory.mktemp("pipecatcloud") / "venv", find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True, timeout=60)
    install = [uv, "pip", "install", "--quiet", "--python", str(home), "pipecatcloud==1.4.0"]
    subprocess.run(install, check=True, timeout=120)
    return home / "bin" / "python"


class Vendor:
    def __init__(self, python: Path, standin: Standin, home: Path) -> None:
        self._python = python
        # Nothing of the person who runs the test: neither a login nor settings.
        self._env = {"PATH": os.environ["PATH"], "HOME": str(home), "PIPECAT_CONFIG_PATH": str(home / "none.toml")}
        self._env |= {**standin.tool_environment(), "PIPECAT_OUTPUT": "json", "NO_COLOR": "1"}

    def run(self, *words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        code = "from pipecatcloud.cli.entry_point import entrypoint_cli_typer as tool; tool()"
        return self.python(code, *words, cwd=cwd)

    def python(self, code: str, *words: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        argv = [str(self._python), "-c", code, *words]
        return subprocess.run(argv, cwd=cwd, env=self._env, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture
def vendor(tool: Path, standin: Standin, tmp_path: Path) -> Vendor:
    (tmp_path / "home").mkdir()
    return Vendor(tool, standin, tmp_path / "home")


def rendered(spec: Spec) -> Path:
    for artifact in artifacts(spec, RECIPE):
        write(spec.root, artifact.path, artifact.text)
    return spec.root


PACK = """
import json, sys
from pathlib import Path
from pipecatcloud._utils.build_utils import create_deterministic_tarball, get_exclusions

for folder in sys.argv[1:]:
    made = create_deterministic_tarball(folder, get_exclusions(Path(folder).resolve()))
    print(json.dumps([made.context_hash, made.file_count, made.total_size]))
"""


def test_the_vendors_tool_makes_the_same_context_of_each_nasty_folder(vendor: Vendor, tmp_path: Path) -> None:
    folders, ours = [], []
    for make in NASTY:
        root = tmp_path / make.__name__ / "bot"
        root.mkdir(parents=True)
        plain(root)
        make(root)
        spec = load(root / "voicedeploy.toml")
        context = pack(spec, artifacts(spec, RECIPE))
        ours.append([context.hash, len(context.files), context.size])
        folders.append(str(rendered(spec)))
    said = vendor.python(PACK, *folders)
    assert [json.loads(line) for line in said.stdout.splitlines()] == ours, said.stderr


def test_the_vendors_tool_takes_the_same_folder(
    vendor: Vendor, standin: Standin, cloud: PipecatCloud, talker: Spec
) -> None:
    """With our secrets and our build: it finds both, and makes the agent that we then see."""
    context = pack(talker, artifacts(talker, RECIPE))
    cloud.secrets.put("talker-secrets", {"GREETS_S": "0.5"}, region="us-west")
    cloud.secrets.wait("talker-secrets")
    built = cloud.builds.wait(cloud.builds.create(context.packed, context.hash, region="us-west").id)
    said = vendor.run("deploy", "--yes", "--no-credentials", cwd=rendered(talker))
    assert said.returncode == 0, said.stdout + said.stderr
    found = cloud.agents.get(NAME)
    assert found is not None and found.live
    assert found.deployment.spec.image == built.image_uri
    assert (found.auto_scaling.min_replicas, found.auto_scaling.max_replicas) == (1, 1)
    assert found.deployment.spec.max_session_duration_seconds == RECIPE.max_session_s
    assert list(standin.world.builds) == [built.id]
    run = heard(standin)
    assert run.ok, run.error


def test_the_vendors_tool_sees_our_deployment(vendor: Vendor, cloud: PipecatCloud, talker: Spec) -> None:
    live = deployed(cloud, pack(talker, artifacts(talker, RECIPE)))
    seen = vendor.run("agent", "status", NAME)
    assert seen.returncode == 0, seen.stdout + seen.stderr
    assert live.desired_deployment_id in seen.stdout
    assert NAME in vendor.run("agent", "list").stdout
    assert "talker-secrets" in vendor.run("secrets", "list").stdout
    start = "import asyncio, json, os, sys; from pipecatcloud.session import Session; print(json.dumps(asyncio.run(" + (
        "Session(sys.argv[1], os.environ['PIPECAT_DEFAULT_PUBLIC_KEY']).start())))"
    )
    started: dict[str, Any] = json.loads(vendor.python(start, NAME).stdout.splitlines()[-1])
    assert started["sessionId"] == cloud.agent(NAME).sessions.list()[0].session_id
    again = vendor.run("deploy", "--yes", "--no-credentials", cwd=rendered(talker))
    assert again.returncode == 0
    after = cloud.agents.get(NAME)
    assert after is not None and after.desired_deployment_id == live.desired_deployment_id


# --- how far regions are --------------------------------------------------------------------------------


PORT = 21730


@contextmanager
def answering(link: SlowLink) -> Iterator[str]:
    """Something that shakes hands at the other end; its address."""
    there = ["ip", "netns", "exec", link.namespace, sys.executable]
    argv = [*there, "-m", "http.server", str(PORT), "--bind", link.address]
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: bool(handshakes_ms(link.address, PORT, times=1)))
        yield f"http://{link.address}:{PORT}"
    finally:
        server.kill()
        server.wait()


def test_a_nearer_region_is_found(standin: Standin, talker: Spec, silent: int) -> None:
    """Two regions are behind long ways, one is here, and one never answers."""
    with (
        slow_link(70, number=0) as long,
        slow_link(15, number=1) as short,
        answering(long) as west,
        answering(short) as east,
    ):

        class Spread(Places):
            def regional(self, region: str) -> str:
                there = {"us-west": west, "us-east": east, "ap-south": f"http://127.0.0.1:{silent}"}
                return there.get(region, self.api)

        with PipecatCloud(standin.private, standin.public, Spread(standin.url), clock=standin.clock) as cloud:
            for chosen in ("", "us-west", "eu-central"):
                provider = Provider.configure({"region": chosen})
                provider._api = cloud
                provider.offer(talker, closely=True)
                rows = {found.code: found for found in provider.check(talker) if found.subject == "region"}
                told = rows["VD000"].message
                trips = {code: int(ms) for code, ms in re.findall(r"([a-z]+-[a-z]+) (\d+) ms", told)}
                assert trips["us-west"] == pytest.approx(140, abs=20) and trips["us-east"] == pytest.approx(30, abs=15)
                assert trips["eu-central"] < 15 and "ap-south no answer" in told
                assert ("VD426" in rows) == (chosen == ""), "who has chosen has chosen"
                if chosen == "":
                    assert 'region = "eu-central", or "us-west" if callers are there' in rows["VD426"].fix


# --- by the commands that people type -------------------------------------------------------------------


@pytest.fixture
def place(standin: Standin, tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, udp="21720-21727")
    made.talker()
    (made.root / "voicedeploy.toml").write_text(
        f'[bot]\nname = "{NAME}"\nprovider = "pipecat-cloud"\nsecrets = ["GREETS_S"]\n[pool]\nmin = 0\nmax = 2\n'
        f'[provider.local]\nport = {made.port}\nudp_ports = "{made.udp}"\n'
    )
    standin.settings.secrets_s, standin.settings.creating_s = 0.5, 0.5
    with pytest.MonkeyPatch.context() as patch:
        for name, value in standin.environment().items():
            patch.setenv(name, value)
        yield made
        shutil.rmtree(made.runtime, ignore_errors=True)


def test_from_nothing_to_a_heard_bot_and_away_again(standin: Standin, place: Place) -> None:
    lacking = place.run("up", "--yes")
    assert lacking.code == 3 and "GREETS_S" in lacking.err and not standin.changes
    assert place.run("secrets", "set", "GREETS_S", stdin="0.5").code == 0
    dry = place.run("up", "--dry-run", "--yes")
    assert dry.code == 0 and "+ image" in dry.out + dry.err, dry
    assert {change.action for change in standin.changes} == {"secrets.put"}
    up = place.run("up", "--yes")
    assert up.code == 0 and "live" in up.out + up.err, up
    key = standin.org.private
    assert key not in up.out + up.err and standin.org.public not in up.out + up.err
    status = place.status()
    assert (status["state"], status["transport"], status["slots"]) == ("running", "webrtc", 2)
    called = place.run("call", "--turns", "1", "--json")
    assert called.code == 0 and called.json["runs"][0]["ok"], called
    session = called.json["runs"][0]["session_id"]
    logs = place.run("logs", "--session", session)
    assert logs.code == 0 and session in logs.out, logs
    again = place.run("up", "--yes")
    assert again.code == 0 and "nothing to change" in again.out + again.err, again
    down = place.run("down", "--yes")
    assert down.code == 0, down
    assert not standin.world.agents and not standin.world.secrets


CARRIERS = {
    "twilio": ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
    "telnyx": ("TELNYX_API_KEY", "TELNYX_PUBLIC_KEY"),
    "plivo": ("PLIVO_AUTH_ID", "PLIVO_AUTH_TOKEN"),
    "exotel": (),
}


def spoken_over(place: Place, transport: str, extra: str = "") -> None:
    """The project's bot, by another way in."""
    (place.root / "voicedeploy.toml").write_text(
        f'[bot]\nname = "{NAME}"\nprovider = "pipecat-cloud"\n[pool]\nmin = 0\nmax = 2\n'
        f'[transport]\nkind = "{transport}"\n{extra}'
    )
    for name in CARRIERS.get(transport, ()):
        assert place.run("secrets", "set", name, stdin="0.5").code == 0


def first_word_told(up: Result) -> None:
    assert up.code == 0 and "first word" in up.err and "voice to voice" in up.err, up


def test_a_carriers_call_proves_it(standin: Standin, place: Place) -> None:
    spoken_over(place, "twilio")
    up = place.run("up", "--yes")
    first_word_told(up)
    assert f'Calls come to <Stream url="{standin.url.replace("http", "ws", 1)}/ws/twilio"><Parameter' in up.out
    called = place.run("call", "--turns", "1", "--json")
    assert called.code == 0 and called.json["transport"] == "twilio", called
    (run,) = called.json["runs"]
    assert run["ok"] and run["first_word_ms"] > 0 and run["turns"][0]["voice_to_voice_ms"], run
    assert [seen.path for seen in standin.requests if seen.action.startswith("session.s")] == ["/ws/twilio"] * 2
    sessions = list(standin.agent(NAME).sessions.values())
    assert [session.status for session in sessions] == ["success", "success"]
    logs = place.run("logs", "--session", sessions[0].id)
    assert f"session {sessions[0].id} begins" in logs.out, logs
    several = place.run("call", "--turns", "1", "--sessions", "2", "--json")
    assert several.code == 0 and several.json["summary"]["ok"] == 2, several
    number = place.run("phone", "check")
    assert number.code == 3 and "/ws/twilio" in number.err, number


def test_calls_of_other_carriers_prove_it(standin: Standin, place: Place) -> None:
    for carrier in ("telnyx", "plivo", "exotel"):
        spoken_over(place, carrier)
        first_word_told(place.run("up", "--yes"))
    seen = [request.path for request in standin.requests if request.action == "session.socket"]
    assert seen == ["/ws/telnyx", "/ws/plivo", "/ws/exotel"]


def test_a_plain_socket_proves_it(standin: Standin, place: Place) -> None:
    spoken_over(place, "websocket")
    first_word_told(place.run("up", "--yes"))
    # As the vendor's own tool deploys it of the rendered folder.
    standin.agent(NAME).socket_auth = "token"
    called = place.run("call", "--turns", "1", "--json")
    assert called.code == 0 and called.json["transport"] == "websocket", called
    started, (run,) = list(standin.agent(NAME).sessions.values())[-1], called.json["runs"]
    assert run["ok"] and run["first_word_ms"] > 0 and run["session_id"] == started.id


def test_a_carriers_call_that_is_not_let_in_says_why(standin: Standin, place: Place) -> None:
    spoken_over(place, "twilio", '[provider.pipecat-cloud]\norganization = "acne"\n')
    up = place.run("up", "--yes")
    assert up.code == 4 and "Unknown service host: talker.acne" in up.err, up
    assert "is acne the organization's name?" in up.err, up
    spoken_over(place, "telnyx", '[provider.pipecat-cloud]\norganization = "acne"\n')
    up = place.run("up", "--yes")
    assert up.code == 4 and "404" in up.err and "is acne the organization's name?" in up.err, up
    standin.settings.namespaces = False
    spoken_over(place, "telnyx")
    called = place.run("call")
    assert called.code == 4 and "nothing says what it is called" in called.err, called
    assert "organization =" in called.err, called


def test_the_first_call_of_a_cold_agent_is_waited_for(standin: Standin, place: Place) -> None:
    """With nothing kept ready, who calls hears nothing for longer than a caller usually waits."""
    spoken_over(place, "twilio")
    assert place.run("up", "--yes", "--no-call").code == 0
    standin.clock.advance(standin.settings.cooldown_s + 1)
    until(lambda: not any(standin.agent(NAME).alive()))
    standin.settings.slow_s = 12
    called = place.run("call", "--turns", "1", "--json")
    (run,) = called.json["runs"]
    assert called.code == 0 and run["greeted"] and run["first_word_ms"] > 12_000, called


@pytest.mark.timeout(400)
def test_there_and_back_with_the_same_bot_and_a_heard_call_at_each_station(standin: Standin, place: Place) -> None:
    def files() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in place.root.iterdir() if p.is_file()}

    before, releases = files(), []
    try:
        for where in ("local", "pipecat-cloud", "local"):
            assert place.run("secrets", "set", "GREETS_S", "--provider", where, stdin="0.5").code == 0
            up = place.run("up", "--yes", "--provider", where)
            assert up.code == 0, up
            called = place.run("call", "--turns", "1", "--json", "--provider", where)
            assert called.code == 0 and called.json["runs"][0]["ok"], called
            status = place.run("status", "--json", "--provider", where).json["deployments"][0]
            releases.append(status["release"])
        assert files() == before
        assert releases[0] == releases[2]
        still = place.run("up", "--yes", "--provider", "pipecat-cloud")
        assert "nothing to change" in still.out + still.err, still
    finally:
        place.run("down", "--yes", "--now", "--provider", "local")
