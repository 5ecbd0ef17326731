"""Deployments by the engine's own walk: what is planned, what becomes of it, and what is repaired."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.pipecat_cloud import PipecatCloud
from voicedeploy_providers.pipecat_cloud.api import NameTaken
from voicedeploy_providers.pipecat_cloud.api import PipecatCloud as Api

from tests.providers.pipecat_cloud.folders import write
from tests.providers.pipecat_cloud.standin import Standin, Trap
from tests.waiting import soon
from voicedeploy import engine
from voicedeploy.deployment import Deployment
from voicedeploy.errors import NotReady, StepFailed, UsageError, VoiceDeployError
from voicedeploy.plan import Door, Plan, Step, describe
from voicedeploy.spec import Spec, load

QUIET = Path(__file__).parent / "bots" / "quiet.py"
NAME = "front-desk"


class Silent:
    def begins(self, step: Step) -> None: ...
    def ends(self, step: Step, seconds: float, note: str) -> None: ...
    def fails(self, step: Step, error: BaseException) -> None: ...
    def undoes(self, step: Step, error: BaseException | None) -> None: ...


class Project:
    """A bot in a folder, and `up` of it."""

    def __init__(self, root: Path, provider: PipecatCloud) -> None:
        self.root = root
        self.provider = provider
        root.mkdir()
        shutil.copy(QUIET, root / "bot.py")
        write(root, "requirements.txt", "pipecat-ai[webrtc]==1.14.0\n")
        self.spec()

    def spec(self, extra: str = "[pool]\nmin = 0\nmax = 2\n", secrets: str = '"NOTE"') -> None:
        write(self.root, "voicedeploy.toml", f'[bot]\nname = "{NAME}"\nsecrets = [{secrets}]\n{extra}')

    @property
    def want(self) -> Spec:
        return load(self.root / "voicedeploy.toml")

    @property
    def have(self) -> Deployment | None:
        return self.provider.find(NAME)

    def plan(self) -> Plan:
        return self.provider.plan(self.want, self.have)

    def perform(self, plan: Plan) -> Plan:
        def nobody_calls(door: Door, report: str) -> str:
            raise AssertionError("no step of these plans is a call")

        engine.carry_out(plan, self.provider.target(), nobody_calls, Silent())
        return plan

    def up(self) -> Plan:
        return self.perform(self.plan())

    def change(self, line: str) -> None:
        with (self.root / "bot.py").open("a") as file:
            file.write(f"\n{line}\n")


@pytest.fixture
def project(standin: Standin, cloud: Api, tmp_path: Path) -> Iterator[Project]:
    standin.settings.building_s = 0.5
    provider = PipecatCloud.configure({})
    provider._api = cloud
    yield Project(tmp_path / "project", provider)


def subjects(plan: Plan) -> list[str]:
    return [f"{step.change} {step.subject}" for step in plan.steps]


def release(project: Project) -> str:
    have = project.have
    assert have is not None
    return have.release


def test_up_and_up_again(standin: Standin, project: Project) -> None:
    project.provider.secrets(NAME).update({"NOTE": "loud-and-clear"})
    before = len(standin.changes)
    plan = project.plan()
    assert len(standin.changes) == before, "a plan changes nothing"
    assert subjects(plan) == ["✓ secrets", "+ image", "+ record", "+ agent", "✓ ready"]
    assert "0 to 2 × agent-1x in us-west" in plan.steps[3].detail
    assert "loud-and-clear" not in str([describe(step.action) for step in plan.steps])
    project.perform(plan)
    have = project.have
    assert have is not None
    assert (have.release, have.transport, have.url) == (plan.want, "webrtc", standin.site(NAME))
    door = project.provider.door(have)
    assert (door.url, door.key) == (standin.site(NAME), standin.org.public) and standin.org.public not in repr(door)
    assert project.provider.deployments() == [have]
    status = project.provider.status(have)
    assert (status.state, status.slots, status.sessions, status.reason) == ("running", 2, 0, "")
    assert standin.agent(NAME).newest.env == {"NOTE": "loud-and-clear"}
    before = len(standin.changes)
    assert project.up().empty
    assert len(standin.changes) == before


def test_a_changed_line_a_way_back_and_the_end(standin: Standin, project: Project) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    first = project.up().want
    project.change("SECOND = True")
    plan = project.up()
    assert subjects(plan) == ["+ image", "+ record", "~ agent", "✓ ready"]
    second = plan.want
    have = project.have
    assert have is not None and have.release == second != first
    assert [(r.id, r.state) for r in project.provider.releases(have)] == [(second, "live"), (first, "kept")]
    back = project.perform(project.provider.back(have, ""))
    assert back.want == first == release(project)
    with pytest.raises(UsageError):
        project.provider.back(have, "0000000")
    builds = len(standin.world.builds)
    assert subjects(project.up()) == ["~ agent", "✓ ready"]
    assert release(project) == second and len(standin.world.builds) == builds
    project.perform(project.provider.plan(None, project.have))
    assert project.have is None
    assert not standin.world.secrets and not standin.world.agents
    project.provider.secrets(NAME).update({"NOTE": "one"})
    assert project.up().want == second


def test_what_the_platform_would_not_notice_is_forced(standin: Standin, project: Project) -> None:
    secrets = project.provider.secrets(NAME)
    secrets.update({"NOTE": "one"})
    project.up()
    secrets.update({"NOTE": "two"})
    have = project.have
    assert have is not None and "secrets were set since" in project.provider.status(have).reason
    plan = project.up()
    assert subjects(plan) == ["✓ secrets", "~ agent", "✓ ready", "- record"]
    assert "with the secrets as they are now" in plan.steps[1].detail
    assert standin.agent(NAME).newest.env == {"NOTE": "two"}
    assert project.up().empty
    project.spec("[pool]\nmin = 1\nmax = 3\n")
    assert subjects(project.up()) == ["~ agent"]
    assert len(standin.agent(NAME).releases) == 2
    project.spec('[transport]\nkind = "daily"\n[pool]\nmin = 1\nmax = 3\n')
    assert subjects(project.up()) == ["+ record", "- record"]
    have = project.have
    assert have is not None and have.transport == "daily"
    assert project.up().empty
    assert (standin.agent(NAME).min, standin.agent(NAME).max) == (1, 3)


def test_a_release_that_does_not_run_says_why_and_the_next_up_repairs(standin: Standin, project: Project) -> None:
    secrets = project.provider.secrets(NAME)
    secrets.update({"NOTE": "one"})
    first = project.up().want
    project.change("import not_there_at_all")
    with pytest.raises(StepFailed) as failed:
        project.up()
    assert "the release before goes on" in failed.value.message
    assert any("not_there_at_all" in line for line in failed.value.log)
    have = project.have
    assert have is not None
    status = project.provider.status(have)
    assert status.state == "running" and "failed" in status.reason and "goes on" in status.reason
    assert subjects(project.plan()) == ["~ agent", "✓ ready"], "once more, by force"
    back = project.perform(project.provider.back(have, first or ""))
    assert back.want == first == release(project)


def test_a_release_is_live_when_the_one_before_takes_no_more_calls(standin: Standin, project: Project) -> None:
    """The platform says `ready`, and goes on sending people to what was there before."""
    project.spec("[pool]\nmin = 1\nmax = 2\n")
    project.provider.secrets(NAME).update({"NOTE": "one"})
    project.up()
    standin.settings.stale_s = 100
    project.change("SECOND = True")
    project.up()
    assert not any(standin.agent(NAME).releases[0].alive())
    standin.settings.stale_s = 10_000
    project.change("THIRD = True")
    with pytest.raises(StepFailed, match="1 agents of the release before still take new calls"):
        project.up()
    have = project.have
    assert have is not None
    assert "still take new calls" in project.provider.status(have).reason
    assert subjects(project.plan()) == ["✓ ready"]
    standin.settings.stale_s = 0
    soon(lambda: not any(standin.agent(NAME).releases[1].alive()))
    assert project.up().empty


def test_what_is_shown_may_be_older_than_what_was_done(standin: Standin, project: Project) -> None:
    """A new agent is not there yet for those who ask, and an update still looks like what was before, which is live."""
    project.provider.secrets(NAME).update({"NOTE": "one"})
    standin.clock.advance(10)
    standin.settings.lag_s = 8
    project.up()
    assert standin.agent(NAME).serving is standin.agent(NAME).newest
    standin.clock.advance(10)
    project.change("SECOND = True")
    standin.settings.creating_s = 20
    project.up()
    assert len(standin.agent(NAME).releases) == 2
    assert standin.agent(NAME).serving is standin.agent(NAME).newest


def test_a_build_that_fails_leaves_everything_as_it_was(standin: Standin, project: Project) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    standin.settings.failing_builds = "process 'uv pip install' did not complete successfully: exit code: 1"
    with pytest.raises(StepFailed) as failed:
        project.up()
    assert "uv pip install" in failed.value.log[-1]
    assert not standin.world.agents
    standin.settings.failing_builds = ""
    project.up()
    assert project.have is not None


STEPS = ["build.upload-url", "build.upload", "build.create", "secrets.put", "agent.create"]


@pytest.mark.parametrize("action", STEPS)
def test_a_plain_up_repairs_what_was_cut_off_at_any_step(standin: Standin, project: Project, action: str) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    standin.clock.advance(5)
    standin.trap(Trap(action, status=403, times=1))
    with pytest.raises(VoiceDeployError):
        project.up()
    plan = project.up()
    assert project.have is not None and release(project) == plan.want
    assert project.up().empty
    assert len(standin.agent(NAME).releases) == 1


def test_what_is_left_where_an_up_was_cut_off_can_be_seen_and_taken_away(standin: Standin, project: Project) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    assert project.have is None, "secrets alone are no deployment"
    standin.trap(Trap("agent.create", status=403, times=1))
    with pytest.raises(VoiceDeployError):
        project.up()
    have = project.have
    assert have is not None and project.provider.deployments() == [have]
    status = project.provider.status(have)
    assert status.state == "stopped" and "`voicedeploy down`" in status.reason
    door = project.provider.door(have)
    assert door.way is not None and "no agent" in door.way.closed
    project.perform(project.provider.plan(None, have))
    assert project.have is None and not standin.world.secrets


def test_files_that_change_between_plan_and_build(project: Project) -> None:
    plan = project.plan()
    project.change("NEW = 1")
    with pytest.raises(StepFailed, match="changed since the plan"):
        project.perform(plan)


def test_an_agent_of_somebody_else_is_left_alone(standin: Standin, cloud: Api, project: Project) -> None:
    from voicedeploy_providers.pipecat_cloud.api import Wanted

    cloud.agents.create(NAME, Wanted(image="acme/quiet:1"), region="us-west")
    before = len(standin.changes)
    with pytest.raises(NameTaken, match="did not make it") as taken:
        project.up()
    assert isinstance(taken.value, NotReady) and "agent" in taken.value.hint
    assert len(standin.changes) == before


def test_what_is_told_of_calls(standin: Standin, cloud: Api, project: Project) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    project.up()
    session = cloud.agent(NAME).sessions.start("daily", body={"seconds": 60}).session_id
    have = project.have
    assert have is not None
    soon(lambda: any(session in line for line in project.provider.logs(have, follow=False, lines=50, session="")))
    mine = list(project.provider.logs(have, follow=False, lines=50, session=session))
    assert any("begins" in line for line in mine) and not any(line.startswith("quiet") for line in mine)
    assert project.provider.status(have).sessions == 1
    project.change("SECOND = True")
    project.up()
    now = project.have
    assert now is not None
    (draining,) = project.provider.status(now).draining
    assert draining.sessions == 1


Change = Callable[[Project], None]


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        ("[session]\ncpu = 2\n", "VD421", "a call takes 2 cores"),
        ("[pool]\nmax = 51\n", "VD422", "50 agents"),
        ('[session]\nmax_duration = "5h"\n', "VD424", "60 to 14400 s"),
    ],
)
def test_what_stands_in_the_way(project: Project, extra: str, code: str, said: str) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    project.spec(extra)
    (found,) = [finding for finding in project.provider.check(project.want) if finding.code == code]
    assert found.severity == "error" and said in found.message and found.fix


@pytest.mark.parametrize(
    ("transport", "way"),
    [("daily", "/v1/public/front-desk/start with createDailyRoom"), ("livekit", "in a room")],
)
def test_where_no_call_can_prove_it_that_is_said(project: Project, transport: str, way: str) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    project.spec(f'[transport]\nkind = "{transport}"\n')
    (found,) = [finding for finding in project.provider.check(project.want) if finding.code == "VD425"]
    assert found.severity == "warning" and way in found.fix
    assert not project.plan().verify
    project.up()
    have = project.have
    assert have is not None
    door = project.provider.door(have)
    assert door.way is not None and "nobody can hear" in door.way.closed and way in door.way.hint


@pytest.mark.parametrize(
    ("transport", "way"),
    [
        ("telnyx", "/ws/telnyx?serviceHost=front-desk."),
        ("twilio", '/ws/twilio"><Parameter name="_pipecatCloudServiceHost" value="front-desk.'),
    ],
)
def test_where_carriers_are_led_to(standin: Standin, project: Project, transport: str, way: str) -> None:
    def shown() -> str:
        found = project.provider.check(project.want)
        assert "VD425" not in [finding.code for finding in found]
        return next(finding.message for finding in found if finding.subject == "way in")

    project.provider.secrets(NAME).update({"AUTH_TOKEN": "of the carrier"})
    project.spec(f'[transport]\nkind = "{transport}"\n', secrets="")
    assert f"{way}ORGANIZATION" in shown(), "nobody knows it yet"
    assert project.plan().verify
    project.up()
    assert standin.agent(NAME).newest.env == {"AUTH_TOKEN": "of the carrier"}
    assert f"{way}acme" in shown(), "by what the platform says of the agent"
    have = project.have
    assert have is not None
    door = project.provider.door(have)
    assert door.way is not None and f"{way}acme" in door.way.told and door.way.transport == transport
    assert door.way.cold_s == 0 and "is acme the organization's name?" in door.way.hint
    standin.settings.namespaces = False
    unknown = project.provider.door(have).way
    assert unknown is not None and "nothing says what it is called" in unknown.closed
    assert "organization =" in unknown.hint
    named = PipecatCloud.configure({"organization": "else-where-1"})
    named._api = project.provider._api
    way_in = named.door(have).way
    assert way_in is not None and f"{way}else-where-1" in way_in.told


def test_who_has_to_wait_for_a_cold_agent_is_told_how_long(standin: Standin, project: Project) -> None:
    project.provider.secrets(NAME).update({"NOTE": "one"})
    project.up()
    have = project.have
    assert have is not None
    warm = project.provider.door(have).way
    assert warm is not None and (warm.transport, warm.stream, warm.cold_s) == ("webrtc", "", 0)
    standin.clock.advance(standin.settings.cooldown_s + 1)
    soon(lambda: not any(standin.agent(NAME).alive()))
    cold = project.provider.door(have).way
    assert cold is not None and cold.cold_s == 60


def test_regions_are_measured_only_by_who_looks_closely(project: Project) -> None:
    def shown(*, closely: bool) -> str:
        project.provider.offer(project.want, closely=closely)
        found = project.provider.check(project.want)
        assert "VD426" not in [finding.code for finding in found]
        return next(finding.message for finding in found if finding.subject == "region")

    assert shown(closely=False) == "us-west, US West"
    trips = ", ".join(rf"{code} \d+ ms" for code in ("us-west", "us-east", "eu-central", "ap-south"))
    assert re.fullmatch(f"us-west, US West; there and back from here: {trips}", shown(closely=True))


def test_what_it_costs_is_said_before(project: Project) -> None:
    project.spec("[pool]\nmin = 2\nmax = 4\n")
    said = {f.subject: f.message for f in project.provider.check(project.want) if f.code == "VD000"}
    assert said["size"] == "up to 4 × agent-1x; 2 kept ready: 2880 reserved minutes a day, calls or none"
    assert said["region"] == "us-west, US West"
    assert "built in the cloud of 3 files" in said["image"]
