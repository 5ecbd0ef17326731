"""What goes wrong at Fly, and that nothing is made twice over it."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from voicedeploy_providers.fly.api import (
    ApiError,
    Changed,
    Config,
    Fly,
    Forbidden,
    Guest,
    LeaseHeld,
    NameTaken,
    NoCapacity,
    NotFound,
    Places,
    RateLimited,
    Refused,
    Token,
    Unanswered,
    Unauthorized,
    Uncertain,
)

from tests.providers.fly.house import House, config
from tests.providers.fly.standin import Standin, Trap
from voicedeploy.errors import Locked, NotReady, StepFailed, VoiceDeployError

LOST = [
    Trap("machine.create", status=408, done=True),
    Trap("machine.create", status=503, done=True),
    Trap("machine.create", status=500, done=True),
    Trap("machine.create", status=0, done=True),
]


def creations(standin: Standin) -> int:
    return sum(seen.action == "machine.create" for seen in standin.requests)


@pytest.mark.parametrize("trap", LOST, ids=lambda trap: str(trap.status))
def test_a_machine_whose_answer_was_lost_is_found_and_not_made_again(house: House, trap: Trap) -> None:
    house.standin.settings.list_lag_s = 7.0
    house.standin.trap(trap)
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    house.standin.clock.advance(10)
    assert [m.id for m in house.app.machines.list()] == [made.id]
    assert creations(house.standin) == 1


@pytest.mark.parametrize("status", [408, 502, 0])
def test_a_machine_that_was_not_made_is_not_tried_again(house: House, status: int) -> None:
    house.standin.trap(Trap("machine.create", status=status))
    before = house.standin.clock.monotonic()
    with pytest.raises(Uncertain) as unknown:
        house.app.machines.create("bot-1", config(), region="fra")
    assert 12 <= house.standin.clock.monotonic() - before < 20
    assert creations(house.standin) == 1
    assert "bot-1" in unknown.value.message
    assert "voicedeploy up" in unknown.value.hint


def test_a_machine_is_found_when_looking_goes_wrong_at_first(house: House) -> None:
    house.standin.trap(Trap("machine.create", 503, done=True), Trap("machine.list", 503, times=7))
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    assert house.now(made).name == "bot-1"
    assert creations(house.standin) == 1


def test_the_same_name_is_the_same_machine_if_it_is_ours(house: House) -> None:
    first = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    assert house.app.machines.create("bot-1", config(), region="fra", launch=False).id == first.id
    with pytest.raises(NameTaken):
        house.app.machines.create("bot-1", config(metadata={"team": "other"}), region="fra", launch=False)


def test_an_update_whose_answer_was_lost_is_not_made_again(house: House) -> None:
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    house.standin.trap(Trap("machine.update", 504, done=True))
    updated = house.app.machines.update(made, config(env={"NEW": "1"}))
    assert updated.instance_id != made.instance_id
    house.standin.trap(Trap("machine.update", 504))
    with pytest.raises(Uncertain):
        house.app.machines.update(updated, config(env={"NEW": "2"}))
    assert len(house.standin.app("voice-bot").machines[made.id].versions) == 2


def test_an_app_and_an_address_whose_answers_were_lost_are_found(standin: Standin, fly: Fly) -> None:
    standin.trap(Trap("app.create", 502, done=True), Trap("ip.assign", 408, done=True))
    assert fly.apps.create("voice-bot", "personal").name == "voice-bot"
    assigned = fly.app("voice-bot").ips.assign("v4")
    assert standin.app("voice-bot").v4() == [assigned.ip]
    assert sum(seen.action in ("app.create", "ip.assign") for seen in standin.requests) == 2


def test_what_is_the_same_twice_is_tried_again(house: House) -> None:
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    house.standin.clock.slept.clear()
    house.standin.trap(Trap("machine.cordon", 503, times=3))
    house.app.machines.cordon(made.id)
    assert house.standin.clock.slept == [1, 2, 4]


def test_a_signal_is_not_sent_twice(house: House) -> None:
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    house.standin.trap(Trap("machine.signal", 503))
    with pytest.raises(Unanswered):
        house.app.machines.signal(made.id, "SIGUSR1")


def test_too_many_requests_wait_and_then_go_through(house: House) -> None:
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    house.standin.clock.slept.clear()
    for _ in range(5):
        house.app.machines.cordon(made.id)
    assert house.standin.clock.slept[:2] == [1, 1]
    house.standin.trap(Trap("machine.cordon", 429, times=99))
    house.standin.clock.slept.clear()
    with pytest.raises(RateLimited) as limited:
        house.app.machines.cordon(made.id)
    assert house.standin.clock.slept == [1, 2, 4, 8]
    assert "one request a second" in limited.value.hint


def test_a_limited_creation_is_repeated_because_nothing_was_made(house: House) -> None:
    house.standin.trap(Trap("machine.create", 429, times=2))
    made = house.app.machines.create("bot-1", config(), region="fra", launch=False)
    assert [m.id for m in house.app.machines.list()] == [made.id]


def test_no_room_in_a_region(house: House) -> None:
    house.standin.settings.full_regions = {"fra"}
    with pytest.raises(NoCapacity) as full:
        house.app.machines.create("bot-1", config(), region="fra")
    assert "fra" in full.value.message
    assert "another region" in full.value.hint
    assert house.app.machines.create("bot-1", config(), region="ams", launch=False).region == "ams"


def test_a_name_that_is_taken(standin: Standin, fly: Fly) -> None:
    standin.tokens["Bearer fo1_other"] = "other"
    with Fly(Token.parse("fo1_other"), standin.places, clock=standin.clock) as other:
        other.apps.create("voice-bot", "other")
    with pytest.raises(NameTaken) as taken:
        fly.apps.create("voice-bot", "personal")
    assert taken.value.status == 422
    assert "unique in all of Fly" in taken.value.hint
    with pytest.raises(Forbidden):
        fly.app("voice-bot").ips.list()


KINDS: list[tuple[int, str, type[ApiError], type[VoiceDeployError]]] = [
    (400, "invalid_argument: config.guest", Refused, StepFailed),
    (401, "unauthorized", Unauthorized, NotReady),
    (403, "not authorized", Forbidden, NotReady),
    (404, "machine not found", NotFound, StepFailed),
    (408, "deadline_exceeded", Unanswered, StepFailed),
    (409, "lease currently held by a@b.c", LeaseHeld, Locked),
    (409, "aborted: machine update failed due to concurrent update", Changed, StepFailed),
    (412, "failed_precondition: machine getting replaced", Changed, StepFailed),
    (412, "insufficient resources to create new machine with existing volume", NoCapacity, StepFailed),
    (422, "unprocessable", Refused, StepFailed),
    (503, "no healthy upstream", Unanswered, StepFailed),
]


@pytest.mark.parametrize(("status", "said", "kind", "base"), KINDS, ids=lambda v: v if isinstance(v, int) else "")
def test_each_answer_is_an_error_of_its_kind(
    house: House, status: int, said: str, kind: type[ApiError], base: type[VoiceDeployError]
) -> None:
    house.standin.trap(Trap("machine.start", status, times=9, error=said))
    with pytest.raises(kind) as error:
        house.app.machines.start("m1")
    assert type(error.value) is kind
    assert isinstance(error.value, base)
    assert error.value.exit_code == base.exit_code
    assert error.value.message.startswith("starting the machine m1: ")
    assert said in error.value.message
    assert error.value.hint
    assert (error.value.status, error.value.request_id) == (status, "01STANDIN")


def test_a_machine_that_runs_is_not_destroyed_and_one_being_replaced_not_started(house: House) -> None:
    made = house.machine()
    with pytest.raises(Changed, match="not currently stopped"):
        house.app.machines.destroy(made.id)
    house.app.machines.update(house.now(made), config(env={"NEW": "1"}))
    with pytest.raises(Changed, match="replaced"):
        house.app.machines.start(made.id)
    house.app.machines.destroy(made.id, force=True)
    assert house.app.machines.wait(made.id, "destroyed", timeout_s=5) == "destroyed"


def test_an_unknown_token(standin: Standin) -> None:
    with Fly(Token.parse("fo1_wrong_one"), standin.places) as stranger, pytest.raises(Unauthorized) as refused:
        stranger.apps.list("personal")
    assert "wrong_one" not in f"{refused.value!r}"


def test_the_token_does_not_follow_a_redirect(standin: Standin, fly: Fly) -> None:
    standin.trap(Trap("platform.regions", 307, location=f"{standin.url}/v1/apps?org_slug=personal"))
    with pytest.raises(Refused) as refused:
        fly.platform.regions()
    assert "FLY_FLAPS_BASE_URL" in refused.value.hint
    assert [seen.action for seen in standin.requests] == ["platform.regions"]


def test_errors_do_not_repeat_what_was_sent(house: House) -> None:
    for value in ('pa"ss<&>\nwörd', "sesame", "7"):
        said = f'cannot set {{"KEY": {value}}} or {value!r} with {house.standin.token}'
        house.standin.trap(Trap("secrets.set", 400, error=said))
        with pytest.raises(Refused) as refused:
            house.app.secrets.update({"KEY": value})
        shown = f"{refused.value!r} {refused.value.hint}"
        assert "cannot set" in shown
        assert value not in shown
        assert house.standin.token not in shown
    house.standin.trap(Trap("machine.create", 400, error="bad config: env API=hunter2 image echo:1"))
    with pytest.raises(Refused) as refused:
        house.app.machines.create("bot-1", config(env={"API": "hunter2"}), region="fra")
    assert "hunter2" not in refused.value.message
    assert "image echo:1" in refused.value.message


def answers(*responses: httpx.Response | Exception) -> httpx.MockTransport:
    left = iter(responses)

    def answer(request: httpx.Request) -> httpx.Response:
        response = next(left)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.MockTransport(answer)


class Still:
    """A clock in which sleeping is counted."""

    def __init__(self) -> None:
        self.at = 0.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float, /) -> None:
        self.at += seconds


@pytest.fixture
def alone() -> Iterator[Callable[..., Fly]]:
    """A client that meets what no server here would do."""
    made: list[Fly] = []

    def client(*responses: httpx.Response | Exception) -> Fly:
        fly = Fly(Token.parse("fo1_a"), Places(), clock=Still(), transport=answers(*responses))
        made.append(fly)
        return fly

    yield client
    for fly in made:
        fly.close()


def test_a_machine_is_made_again_only_if_the_request_never_left(alone: Callable[..., Fly]) -> None:
    there: dict[str, Any] = {"id": "m1", "name": "bot-1"}
    fly = alone(httpx.ConnectError("no route"), httpx.Response(200, json=there))
    assert fly.app("voice-bot").machines.create("bot-1", Config(image="i"), region="fra").id == "m1"


def test_an_answer_that_cannot_be_read_says_where_and_shows_nothing_of_it(alone: Callable[..., Fly]) -> None:
    fly = alone(httpx.Response(200, json={"regions": [{"kode": "sesame"}]}), httpx.Response(200, text="<html>sesame"))
    for _ in range(2):
        with pytest.raises(Unanswered, match="cannot be read") as unread:
            fly.platform.regions()
        assert "sesame" not in unread.value.message


def test_an_error_page_of_a_proxy_is_an_error_too(alone: Callable[..., Fly]) -> None:
    fly = alone(*(httpx.Response(502, text="<html>bad gateway") for _ in range(5)))
    with pytest.raises(Unanswered, match="bad gateway"):
        fly.platform.placements("personal", Guest())
