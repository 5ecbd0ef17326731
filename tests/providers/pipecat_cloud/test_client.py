"""Every call of the client, against the stand-in."""

import gzip
import io
import tarfile
from itertools import islice
from pathlib import Path

import pytest
from voicedeploy_providers.pipecat_cloud.api import (
    AgentNotReady,
    AgentRecord,
    AtCapacity,
    BuildFailed,
    NameTaken,
    NotFound,
    PipecatCloud,
    Refused,
    ReleaseFailed,
    SecretsPending,
    WaitedTooLong,
    Wanted,
)
from voicedeploy_providers.pipecat_cloud.context import Recipe, artifacts, pack

from tests.providers.pipecat_cloud.folders import plain
from tests.providers.pipecat_cloud.house import NAME, House
from tests.providers.pipecat_cloud.standin import Image, Standin
from tests.waiting import soon
from voicedeploy.spec import load


def test_what_is_said_is_compared_with_the_vendors_description(standin: Standin) -> None:
    if not standin.checked:
        pytest.skip("the vendor's description is not beside this repository: ../shared/contracts")
    assert standin.violations == []


def test_an_agent_from_its_making_to_its_end(house: House) -> None:
    cloud = house.cloud
    assert cloud.agents.get(NAME) is None
    made = house.agent(live=False, max_session_s=600)
    assert (made.name, made.region, made.live) == (NAME, "us-west", False)
    told: list[str] = []
    live = cloud.agents.wait(
        NAME, made.desired_deployment_id, tell=lambda seen: told.append(seen.current_revision.phase)
    )
    assert told[0] == "Creating" and told[-1] == "Active"
    assert live.live and not live.failed
    assert live.deployment.spec.image == "acme/quiet:1"
    assert live.deployment.spec.max_session_duration_seconds == 600
    assert (live.auto_scaling.min_replicas, live.auto_scaling.max_replicas) == (0, 2)
    assert [agent.name for agent in cloud.agents.list()] == [NAME]
    assert cloud.agents.list(region="us-east") == ()
    cloud.agents.delete(NAME)
    cloud.agents.delete(NAME)
    assert cloud.agents.get(NAME) is None


def test_what_is_wanted_is_said_as_the_platform_calls_it() -> None:
    assert Wanted(build_id="b", secret_set="s", min_agents=0, krisp="tel", max_session_s=60).wire() == {  # noqa: S106
        "buildId": "b",
        "secretSet": "s",
        "autoScaling": {"minAgents": 0},
        "krispViva": {"audioFilter": "tel"},
        "maxSessionDuration": 60,
    }
    assert Wanted().wire() == {}


def test_a_secret_set_is_pending_and_then_ready(house: House) -> None:
    cloud = house.cloud
    assert cloud.secrets.get("front-desk") is None
    ready_or_not = "front-desk"
    cloud.secrets.put(ready_or_not, {"OPENAI_API_KEY": "one"}, region="us-west")
    found = cloud.secrets.get("front-desk")
    assert found is not None and found.status == "pending"
    with pytest.raises(SecretsPending, match="not yet ready") as pending:
        house.agent(secret_set=ready_or_not)
    assert pending.value.status == 409
    ready = cloud.secrets.wait("front-desk")
    assert (ready.name, ready.keys, ready.region) == ("front-desk", ("OPENAI_API_KEY",), "us-west")
    cloud.secrets.put("front-desk", {"NOTE": "two"}, region="us-west")
    assert cloud.secrets.wait("front-desk").keys == ("NOTE", "OPENAI_API_KEY")
    cloud.secrets.unset("front-desk", "NOTE")
    cloud.secrets.unset("front-desk", "NOTE")
    assert cloud.secrets.wait("front-desk").keys == ("OPENAI_API_KEY",)
    assert [(s.name, s.type) for s in cloud.secrets.list()] == [("front-desk", "secret")]
    cloud.secrets.delete("front-desk")
    cloud.secrets.delete("front-desk")
    assert cloud.secrets.list() == ()


def test_secrets_that_cannot_be_stored_and_that_take_too_long(house: House) -> None:
    house.standin.settings.failing_secrets = {"front-desk"}
    house.cloud.secrets.put("front-desk", {"A": "1"}, region="us-west")
    with pytest.raises(Refused, match="could not be stored"):
        house.cloud.secrets.wait("front-desk")
    house.standin.settings.secrets_s = 1000
    with pytest.raises(WaitedTooLong, match="pending after 5 s"):
        house.cloud.secrets.wait("front-desk", timeout_s=5)


def test_credentials_of_a_registry(house: House) -> None:
    house.cloud.secrets.put_pull("pull", "https://index.docker.io/v1/", "me", "t0ken", region="us-west")
    house.standin.clock.advance(5)
    (found,) = house.cloud.secrets.list()
    assert (found.type, found.status) == ("imagePullSecret", "ready")
    made = house.agent(live=False, pull_secret_set=found.name)
    assert made.deployment.spec.image_pull_secret_name == found.name


def test_a_build_from_its_context_to_its_image(house: House, tmp_path: Path) -> None:
    builds = house.cloud.builds
    (tmp_path / "bot").mkdir()
    plain(tmp_path / "bot")
    spec = load(tmp_path / "bot" / "voicedeploy.toml")
    context = pack(spec, artifacts(spec, Recipe(NAME, "us-west")))
    assert builds.made(context.hash, "us-west") is None
    begun = builds.create(context.packed, context.hash, region="us-west")
    assert begun.context_hash == context.hash
    told: list[str] = []
    done = builds.wait(begun.id, tell=lambda build: told.append(build.status))
    assert list(dict.fromkeys(told)) == ["pending", "building", "success"]
    assert done.image_uri and done.build_duration_seconds >= 5
    assert any("COPY" in line for line in builds.log(begun.id))
    found = builds.made(context.hash, "us-west")
    assert found is not None and found.id == begun.id
    assert builds.made(context.hash, "us-east") is None
    assert builds.create(context.packed, context.hash, region="us-west").id == begun.id
    made = house.agent(live=False, image="", build_id=begun.id)
    assert made.deployment.spec.image == done.image_uri


def test_a_build_that_fails_says_why_with_its_last_lines(house: House) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("bot.py"))
    begun = house.cloud.builds.create(gzip.compress(buffer.getvalue()), "none", region="us-west")
    with pytest.raises(BuildFailed) as failed:
        house.cloud.builds.wait(begun.id)
    assert "could not be built" in failed.value.message
    assert "Dockerfile: no such file" in failed.value.log[-1]


def test_the_same_tag_a_new_value_and_other_numbers_replace_nothing(house: House, tmp_path: Path) -> None:
    """What people lost days over: only a forced deployment is a new one."""
    before = house.agent(secret_set=house.secrets(NOTE="one"))
    agents = house.cloud.agents
    other = tmp_path / "other"
    other.mkdir()
    (other / "bot.py").write_text("async def bot(args): ...")
    house.standin.push("acme/quiet:1", Image(other))
    house.secrets(NOTE="two")
    same = agents.update(before, Wanted(image="acme/quiet:1", secret_set="front-desk", max_agents=3))  # noqa: S106
    assert same.desired_deployment_id == before.desired_deployment_id
    assert same.auto_scaling.max_replicas == 3
    assert house.standin.agent(NAME).newest.env == {"NOTE": "one"}
    forced = agents.update(same, Wanted(image="acme/quiet:1"), force=True)
    assert forced.desired_deployment_id != before.desired_deployment_id
    assert not forced.live and forced.available
    assert house.live(forced).previous_revision.phase == "Draining"
    assert house.standin.agent(NAME).newest.env == {"NOTE": "two"}
    longer = agents.update(forced, Wanted(max_session_s=900))
    assert longer.desired_deployment_id != forced.desired_deployment_id


def test_a_release_that_crashes_leaves_the_one_before(house: House, standin: Standin) -> None:
    before = house.agent(min_agents=1)
    crashing = house.secrets(CRASH="no voice today")
    after = house.cloud.agents.update(before, Wanted(secret_set=crashing))
    with pytest.raises(ReleaseFailed) as failed:
        house.live(after)
    assert "RuntimeError: no voice today" in failed.value.message
    assert "exit code 1" in failed.value.message
    assert "the release before goes on" in failed.value.message
    assert house.now.available and not house.now.live
    assert house.cloud.agent(NAME).sessions.start("daily", body={"seconds": 0}).session_id
    (session,) = house.cloud.agent(NAME).sessions.list()
    assert session.deployment_id == before.desired_deployment_id
    lines = house.cloud.agent(NAME).logs.last(deployment=after.desired_deployment_id)
    assert any("no voice today" in line.log for line in lines)


@pytest.mark.parametrize(
    ("image", "said"),
    [("acme/none:1", "PCC_IMAGE_NOT_FOUND"), ("acme/intel:1", "linux/amd64, and agents are linux/arm64")],
)
def test_an_image_that_cannot_be_run(house: House, tmp_path: Path, image: str, said: str) -> None:
    house.standin.push("acme/intel:1", Image(tmp_path, architecture="amd64"))
    with pytest.raises(ReleaseFailed, match=said) as failed:
        house.agent(image=image)
    assert "nothing takes calls" in failed.value.message
    with pytest.raises(AgentNotReady) as early:
        house.cloud.agent(NAME).sessions.start("daily")
    assert early.value.word == "PCC-1001"


def test_an_agent_that_is_never_ready(house: House) -> None:
    house.standin.settings.ready_most_s = 1
    with pytest.raises(ReleaseFailed, match="readyz"):
        house.agent(secret_set=house.secrets(READY="no"))
    with pytest.raises(WaitedTooLong, match="after 12 s"):
        house.cloud.agents.wait(NAME, "another", timeout_s=12)


def test_one_session_for_each_agent_and_no_more_than_there_may_be(house: House) -> None:
    house.agent(max_agents=2)
    sessions = house.cloud.agent(NAME).sessions
    first = sessions.start("daily", body={"a": 1})
    second = sessions.start("daily")
    assert [s.session_id for s in sessions.list("active")] == [second.session_id, first.session_id]
    assert [s.cold_start for s in sessions.list()] == [True, False]
    instances = {
        s.instance.process.pid for s in house.standin.agent(NAME).active() if s.instance and s.instance.process
    }
    assert len(instances) == 2
    slept = len(house.standin.clock.slept)
    with pytest.raises(AtCapacity) as full:
        sessions.start("daily")
    assert full.value.status == 429 and len(house.standin.clock.slept) == slept
    assert house.now.active_session_count == 2
    sessions.stop(first.session_id)
    sessions.stop(first.session_id)
    ended = sessions.get(first.session_id)
    assert ended is not None and ended.ended_at and ended.completion_status == "stopped"
    assert sessions.get("00000000-0000-4000-8000-000000000000") is None
    third = sessions.start("daily", body={"seconds": 0})
    soon(lambda: bool((s := sessions.get(third.session_id)) and s.ended_at))
    assert len(sessions.list("ended")) == 2


def test_ice_servers_and_rooms_are_for_those_who_ask(house: House) -> None:
    house.agent(max_agents=3)
    sessions = house.cloud.agent(NAME).sessions
    assert sessions.start("webrtc").ice_config.ice_servers == ()
    started = sessions.start("webrtc", ice_servers=True)
    assert "turns:turn.cloudflare.com:5349?transport=tcp" in started.ice_config.ice_servers[0].urls
    assert "of-the-stand-in" not in repr(started)
    room = sessions.start("daily", room=True)
    assert room.daily_room.startswith("https://acme.daily.co/")
    assert "of-the-stand-in" not in repr(room)


def test_a_session_ends_when_its_time_is_over(house: House) -> None:
    house.agent(max_session_s=60)
    sessions = house.cloud.agent(NAME).sessions
    started = sessions.start("daily", body={"seconds": 999})
    house.standin.clock.advance(61)
    soon(lambda: bool((s := sessions.get(started.session_id)) and s.ended_at))


def test_instances_are_kept_and_stopped_as_they_are_scaled(house: House) -> None:
    agent = house.agent(min_agents=2, max_agents=4)
    there = house.standin.agent(NAME)
    soon(lambda: sum(i.ready for i in there.alive()) == 2)
    house.cloud.agents.update(agent, Wanted(min_agents=0))
    house.standin.clock.advance(301)
    soon(lambda: not any(there.alive()))
    assert house.now.live
    house.standin.settings.buffer = 1
    house.cloud.agent(NAME).sessions.start("daily")
    soon(lambda: sum(i.ready for i in there.alive()) == 2)


def test_old_agents_may_go_on_taking_sessions_after_a_deployment(house: House) -> None:
    house.standin.settings.stale_s = 60
    before = house.agent(min_agents=1)
    live = house.live(house.cloud.agents.update(before, Wanted(image="acme/quiet:1"), force=True))
    sessions = house.cloud.agent(NAME).sessions
    stale = sessions.start("daily", body={"seconds": 0})
    found = sessions.get(stale.session_id)
    assert found is not None and found.deployment_id == before.desired_deployment_id
    house.standin.clock.advance(61)
    soon(lambda: not any(house.standin.agent(NAME).releases[0].alive()))
    fresh = sessions.get(sessions.start("daily").session_id)
    assert fresh is not None and fresh.deployment_id == live.desired_deployment_id


def test_what_is_shown_is_late(house: House) -> None:
    house.standin.settings.lag_s = 8
    made = house.agent(live=False)
    assert house.cloud.agents.get(NAME) is None
    assert house.cloud.agents.list() == ()
    assert house.live(made).live
    forced = house.cloud.agents.update(made, Wanted(), force=True)
    house.standin.clock.advance(9)
    assert house.now.desired_deployment_id == forced.desired_deployment_id


def test_logs_are_read_and_followed(house: House) -> None:
    house.agent(secret_set=house.secrets(NOTE="loud"))
    agent = house.cloud.agent(NAME)
    started = agent.sessions.start("daily", body={"seconds": 0})
    soon(lambda: any("is over" in line.log for line in agent.logs.last()))
    lines = [line.log for line in agent.logs.last()]
    assert lines[0] == "quiet loud"
    of_it = [line.log for line in agent.logs.last(session=started.session_id)]
    assert f"session {started.session_id} begins" in of_it and "quiet loud" not in of_it
    assert [line.log for line in agent.logs.last(query="loud")] == ["quiet loud"]
    first = agent.logs.last()[0].timestamp
    followed = [line.log for line in islice(agent.logs.follow(since=first), len(lines))]
    assert followed == lines
    following = agent.logs.follow()
    assert next(following).log in lines
    agent.sessions.start("daily", body={"seconds": 0, "say": "again"})
    assert "hello" in next(line.log for line in following if "again" in line.log)


def test_regions_and_the_organizations_own(house: House) -> None:
    assert {"us-west", "eu-central"} <= {region.code for region in house.cloud.platform.regions()}
    assert next(r.display_name for r in house.cloud.platform.regions() if r.code == "us-west") == "US West"
    assert house.cloud.platform.default_region() == "us-west"
    assert house.standin.changes == []


def test_a_name_that_is_taken(house: House, cloud: PipecatCloud) -> None:
    house.agent(live=False)
    with pytest.raises(NameTaken) as taken:
        house.agent(live=False)
    assert "unique in all of Pipecat Cloud" in taken.value.hint
    cloud.agents.delete(NAME)
    with pytest.raises(NotFound):
        house.agent(live=False, secret_set="none")  # noqa: S106


def test_answers_are_read_with_more_than_is_known_and_with_nulls() -> None:
    agent = AgentRecord.model_validate(
        {"name": "a", "brandNew": 1, "currentRevision": None, "deployment": None, "krispViva": None, "ready": True}
    )
    assert not agent.live and not agent.failed
