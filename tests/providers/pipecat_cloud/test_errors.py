"""What goes wrong at Pipecat Cloud, and that nothing is made twice over it."""

from collections.abc import Callable, Iterator
from hashlib import md5

import httpx
import pytest
from voicedeploy_providers.pipecat_cloud.api import (
    AgentNotReady,
    ApiError,
    AtCapacity,
    BadImage,
    Changed,
    Forbidden,
    NameTaken,
    NotFound,
    PipecatCloud,
    Places,
    PrivateKey,
    PublicKey,
    RateLimited,
    Refused,
    SecretsPending,
    Unanswered,
    Unauthorized,
    Uncertain,
    Wanted,
)

from tests.providers.pipecat_cloud.house import NAME, House
from tests.providers.pipecat_cloud.standin import Standin, Trap
from voicedeploy.errors import NotReady, StepFailed, VoiceDeployError


def asked(standin: Standin, action: str) -> int:
    return sum(seen.action == action for seen in standin.requests)


@pytest.mark.parametrize("status", [408, 500, 503, 0])
def test_an_agent_whose_answer_was_lost_is_found_and_not_made_again(house: House, status: int) -> None:
    house.standin.settings.lag_s = 7
    house.standin.trap(Trap("agent.create", status=status, done=True))
    made = house.agent(live=False)
    assert made.name == NAME
    assert asked(house.standin, "agent.create") == 1
    assert len(house.standin.agent(NAME).releases) == 1


@pytest.mark.parametrize("status", [408, 502, 0])
def test_an_agent_that_was_not_made_is_not_tried_again(house: House, status: int) -> None:
    house.standin.trap(Trap("agent.create", status=status))
    before = house.standin.clock.monotonic()
    with pytest.raises(Uncertain) as unknown:
        house.agent(live=False)
    assert 12 <= house.standin.clock.monotonic() - before < 20
    assert asked(house.standin, "agent.create") == 1
    assert "voicedeploy up" in unknown.value.hint


@pytest.mark.parametrize("status", [504, 0])
def test_a_forced_deployment_whose_answer_was_lost_is_not_made_again(house: House, status: int) -> None:
    made = house.agent(live=False)
    house.standin.trap(Trap("agent.update", status, done=True))
    forced = house.cloud.agents.update(made, Wanted(), force=True)
    assert forced.desired_deployment_id != made.desired_deployment_id
    house.standin.trap(Trap("agent.update", status))
    with pytest.raises(Uncertain):
        house.cloud.agents.update(forced, Wanted(), force=True)
    assert len(house.standin.agent(NAME).releases) == 2


def test_an_update_that_is_the_same_twice_is_tried_again(house: House) -> None:
    made = house.agent(live=False)
    house.standin.trap(Trap("agent.update", 503, done=True, times=2))
    longer = house.cloud.agents.update(made, Wanted(max_session_s=900))
    assert len(house.standin.agent(NAME).releases) == 2
    assert longer.deployment.spec.max_session_duration_seconds == 900


def test_a_build_whose_answer_was_lost_is_found(house: House) -> None:
    context = b"any bytes"
    house.standin.trap(Trap("build.create", 502, done=True), Trap("build.upload", 503, times=2))
    hash = md5(context, usedforsecurity=False).hexdigest()[:16]
    begun = house.cloud.builds.create(context, hash, region="us-west")
    assert list(house.standin.world.builds) == [begun.id]
    assert asked(house.standin, "build.create") == 1


def test_a_session_is_never_started_twice(house: House) -> None:
    house.agent()
    house.standin.trap(Trap("session.start", 503, done=True))
    with pytest.raises(Unanswered):
        house.cloud.agent(NAME).sessions.start("daily")
    house.standin.trap(Trap("session.start", 429))
    with pytest.raises(AtCapacity):
        house.cloud.agent(NAME).sessions.start("daily")
    assert len(house.standin.agent(NAME).sessions) == 1


def test_a_set_that_somebody_else_changes_is_tried_again(house: House) -> None:
    house.standin.trap(Trap("secrets.put", 409, times=2, error="concurrent modification"))
    house.secrets(A="1")
    assert house.standin.world.secrets["front-desk"].values == {"A": "1"}
    house.standin.trap(Trap("secrets.put", 409, times=99, error="concurrent modification"))
    with pytest.raises(Changed):
        house.secrets(A="2")


def test_too_many_requests_wait_and_then_go_through(house: House) -> None:
    house.standin.trap(Trap("agent.create", 429, times=2))
    house.agent(live=False)
    assert house.standin.clock.slept[:2] == [1, 2]
    house.standin.trap(Trap("regions", 429, times=99))
    with pytest.raises(RateLimited):
        house.cloud.platform.regions()


def test_looking_that_goes_wrong_for_a_while_does_not_end_the_wait(house: House) -> None:
    made = house.agent(live=False)
    house.standin.trap(Trap("agent.get", 503, times=12))
    assert house.live(made).live
    house.standin.trap(Trap("agent.get", 401))
    with pytest.raises(Unauthorized):
        house.cloud.agents.wait(NAME, "another")


KINDS: list[tuple[int, str, str, type[ApiError], type[VoiceDeployError]]] = [
    (400, "", "Invalid autoScaling", Refused, StepFailed),
    (400, "", "Agent name 'x' is already in use", NameTaken, NotReady),
    (400, "", "Service with name x exists", NameTaken, NotReady),
    (400, "", "Build b does not exist", Refused, StepFailed),
    (400, "PCC-1001", "Attempt to start agent when deployment is not in ready state", AgentNotReady, StepFailed),
    (401, "", "Unauthorized", Unauthorized, NotReady),
    (403, "PCC-1004", "Billing credentials not set", Forbidden, NotReady),
    (404, "", "Agent not found", NotFound, StepFailed),
    (409, "", "Secret set 'a' is not yet ready", SecretsPending, StepFailed),
    (409, "", "Conflict", Changed, StepFailed),
    (413, "", "Request body too large", Refused, StepFailed),
    (400, "PCC_INVALID_IMAGE_PLATFORM", "wrong platform", BadImage, StepFailed),
    (429, "PCC-AGENT-AT-CAPACITY", "at capacity", AtCapacity, StepFailed),
    (500, "500", "boom", Unanswered, StepFailed),
]


@pytest.mark.parametrize(
    ("status", "word", "said", "kind", "base"), KINDS, ids=lambda v: v if isinstance(v, int | str) and v else ""
)
def test_each_answer_is_an_error_of_its_kind(
    alone: "Alone", status: int, word: str, said: str, kind: type[ApiError], base: type[VoiceDeployError]
) -> None:
    cloud = alone(*(httpx.Response(status, json={"error": said, "code": word or str(status)}) for _ in range(5)))
    with pytest.raises(kind) as error:
        cloud.agents.list()
    assert type(error.value) is kind
    assert isinstance(error.value, base)
    assert error.value.exit_code == base.exit_code
    assert error.value.message == f"listing the agents: {said}"
    assert error.value.hint
    assert error.value.status == status


def test_the_other_shape_of_an_error_is_read_too(alone: "Alone") -> None:
    full = {"status": 429, "code": "429", "message": "Rate limit exceeded. Please try again later"}
    with pytest.raises(AtCapacity, match="Rate limit exceeded"):
        alone(httpx.Response(429, json=full)).agent(NAME).sessions.start("webrtc")


def test_an_unknown_key_and_one_of_the_other_kind(standin: Standin) -> None:
    with PipecatCloud(PrivateKey.parse("wrong_one"), places=standin.places) as stranger:
        with pytest.raises(Unauthorized) as refused:
            stranger.agents.list()
        assert "wrong_one" not in f"{refused.value!r} {refused.value.hint}"
    assert httpx.get(f"{standin.url}/v1/agents", headers={"authorization": standin.public.header}).status_code == 401


def test_the_key_does_not_follow_a_redirect(standin: Standin, cloud: PipecatCloud) -> None:
    standin.trap(Trap("regions", 307, location=f"{standin.url}/v1/agents"))
    with pytest.raises(Refused) as refused:
        cloud.platform.regions()
    assert "PIPECAT_API_HOST" in refused.value.hint
    assert [seen.action for seen in standin.requests] == ["regions"]


def test_errors_do_not_repeat_what_was_sent(house: House) -> None:
    for value in ('pa"ss<&>\nwörd', "sesame"):
        said = f'cannot set {{"KEY": {value}}} or {value!r} with {house.standin.org.private}'
        house.standin.trap(Trap("secrets.put", 400, error=said))
        with pytest.raises(Refused) as refused:
            house.secrets(KEY=value)
        shown = f"{refused.value!r} {refused.value.hint}"
        assert "cannot set" in shown
        assert value not in shown
        assert house.standin.org.private not in shown
    house.standin.trap(Trap("secrets.put", 400, error="illegal base64 data: bWU6aHVudGVyMg=="))
    with pytest.raises(Refused) as refused:
        house.cloud.secrets.put_pull("pull", "https://index.docker.io/v1/", "me", "hunter2", region="us-west")
    assert "bWU6aHVudGVyMg==" not in refused.value.message


class Still:
    """A clock in which sleeping is counted."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float, /) -> None:
        self.at += seconds


Alone = Callable[..., PipecatCloud]


@pytest.fixture
def alone() -> Iterator[Alone]:
    """A client that meets what no server here would do."""
    made: list[PipecatCloud] = []

    def client(*answers: httpx.Response | Exception) -> PipecatCloud:
        left = iter(answers)

        def answer(request: httpx.Request) -> httpx.Response:
            response = next(left)
            if isinstance(response, Exception):
                raise response
            return response

        keys = PrivateKey.parse("sk_alone"), PublicKey.parse("pk_alone")
        cloud = PipecatCloud(*keys, Places(), clock=Still(), transport=httpx.MockTransport(answer))
        made.append(cloud)
        return cloud

    yield client
    for cloud in made:
        cloud.close()


def test_an_agent_is_made_again_only_if_the_request_never_left(alone: Alone) -> None:
    cloud = alone(httpx.ConnectError("no route"), httpx.Response(200, json={"name": NAME}))
    assert cloud.agents.create(NAME, Wanted(image="i:1"), region="us-west").name == NAME


def test_an_answer_that_cannot_be_read_says_where_and_shows_nothing_of_it(alone: Alone) -> None:
    cloud = alone(httpx.Response(200, json={"regions": [{"kode": "sesame"}]}), httpx.Response(200, text="<html>sesame"))
    for _ in range(2):
        with pytest.raises(Unanswered, match="cannot be read") as unread:
            cloud.platform.regions()
        assert "sesame" not in unread.value.message
