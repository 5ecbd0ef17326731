"""A number leads to a bot and back, at stand-ins for the three carriers."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.phone.standins import KINDS, serving
from voicedeploy.errors import NotReady, StepFailed, UsageError, VoiceDeployError
from voicedeploy.phone import KEYS, binding, open_account
from voicedeploy.phone.account import Account
from voicedeploy.phone.plivo import Plivo
from voicedeploy.phone.telnyx import Telnyx
from voicedeploy.phone.twilio import Twilio

CLASSES: dict[str, type[Account]] = {"twilio": Twilio, "telnyx": Telnyx, "plivo": Plivo}
NUMBER = "+14155550100"
URL = "https://bot.example.org/phone"
OTHER = "https://other.example.org/phone"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def carrier(kind: str) -> Iterator[Any]:
    with serving(kind) as standin:
        yield standin


@pytest.fixture
def account(kind: str, carrier: Any) -> Account:
    return CLASSES[kind](carrier.keys, carrier.base)


def test_bound_and_unbound(carrier: Any, account: Account) -> None:
    carrier.add(NUMBER)
    binding.bind(account, binding.find(account, NUMBER), URL)
    bound = binding.find(account, NUMBER)
    assert (bound.url, bound.bound, bound.before) == (URL, True, "")
    assert len(carrier.applications) == 1
    binding.unbind(account, bound)
    assert carrier.target(NUMBER) == ""
    assert carrier.applications == {}
    assert not binding.find(account, NUMBER).bound


def before(kind: str) -> dict[str, Any]:
    """An application that somebody uses."""
    return {
        "twilio": {"AP" + "7" * 32: {"sid": "AP" + "7" * 32, "friendly_name": "ivr", "voice_url": OTHER}},
        "telnyx": {"77": {"id": "77", "friendly_name": "ivr", "voice_url": OTHER}},
        "plivo": {"77": {"app_id": "77", "app_name": "ivr", "answer_url": OTHER}},
    }[kind]


def test_what_it_led_to_before_comes_back(kind: str, carrier: Any, account: Account) -> None:
    carrier.applications |= before(kind)
    id = next(iter(carrier.applications))
    carrier.add(NUMBER, id)
    have = binding.find(account, NUMBER)
    assert (have.leads_to, have.bound) == (OTHER, False)
    binding.bind(account, have, URL)
    # From any other laptop: nothing was kept here.
    again = CLASSES[kind](carrier.keys, carrier.base)
    bound = binding.find(again, NUMBER)
    assert bound.before == id
    binding.unbind(again, bound)
    assert carrier.target(NUMBER) == id
    assert carrier.applications == before(kind)


def test_bound_again_to_another_address(kind: str, carrier: Any, account: Account) -> None:
    carrier.applications |= before(kind)
    id = next(iter(carrier.applications))
    carrier.add(NUMBER, id)
    binding.bind(account, binding.find(account, NUMBER), URL)
    binding.bind(account, binding.find(account, NUMBER), OTHER)
    bound = binding.find(account, NUMBER)
    assert (bound.url, bound.before) == (OTHER, id)
    assert len(carrier.applications) == 2


def test_two_numbers_do_not_touch_each_other(carrier: Any, account: Account) -> None:
    second = "+14155550101"
    carrier.add(NUMBER)
    carrier.add(second)
    binding.bind(account, binding.find(account, NUMBER), URL)
    binding.bind(account, binding.find(account, second), OTHER)
    binding.unbind(account, binding.find(account, NUMBER))
    assert binding.find(account, second).url == OTHER
    assert not binding.find(account, NUMBER).bound


def test_all_numbers_over_several_pages(carrier: Any, account: Account) -> None:
    for last in range(5):
        carrier.add(f"+1415555010{last}")
    found = binding.numbers(account)
    assert [number.owned.number for number in found] == [f"+1415555010{last}" for last in range(5)]
    assert {number.leads_to for number in found} == {"nothing"}
    assert carrier.changes == []


def test_a_number_that_is_not_the_account_s(carrier: Any, account: Account) -> None:
    carrier.add(NUMBER + "7")
    with pytest.raises(NotReady, match="not a number of this account"):
        binding.find(account, NUMBER)


def test_a_number_that_is_not_bound(carrier: Any, account: Account) -> None:
    carrier.add(NUMBER)
    with pytest.raises(NotReady, match="is not bound"):
        binding.unbind(account, binding.find(account, NUMBER))
    assert carrier.changes == []


def test_a_failure_half_way_leaves_nothing_behind(carrier: Any, account: Account) -> None:
    carrier.add(NUMBER)
    carrier.broken = "(POST|PATCH) .*[Nn]umbers?/"
    with pytest.raises(StepFailed, match="500 out of order"):
        binding.bind(account, binding.find(account, NUMBER), URL)
    assert carrier.applications == {}
    assert carrier.target(NUMBER) == ""


def test_wrong_keys(kind: str, carrier: Any) -> None:
    wrong = {**carrier.keys, KEYS[kind][-1]: "wrong-secret"}
    with pytest.raises(NotReady) as error:
        CLASSES[kind](wrong, carrier.base).owned()
    assert KEYS[kind][-1] in error.value.hint
    assert "wrong-secret" not in f"{error.value.message} {error.value.hint}"


def test_a_carrier_that_does_not_answer(kind: str, carrier: Any) -> None:
    with pytest.raises(VoiceDeployError) as error:
        CLASSES[kind](carrier.keys, "http://127.0.0.1:9").owned()
    assert error.value.exit_code == 3


def test_twilio_s_number_keeps_its_own_address() -> None:
    with serving("twilio") as carrier:
        carrier.add(NUMBER, url=OTHER)
        account = Twilio(carrier.keys, carrier.base)
        assert binding.find(account, NUMBER).leads_to == OTHER
        binding.bind(account, binding.find(account, NUMBER), URL)
        assert binding.find(account, NUMBER).leads_to == URL
        binding.unbind(account, binding.find(account, NUMBER))
        assert binding.find(account, NUMBER).leads_to == OTHER


def test_twilio_s_trunk_comes_back() -> None:
    trunk = "TK" + "5" * 32
    with serving("twilio") as carrier:
        carrier.add("+123456789012345", trunk)
        account = Twilio(carrier.keys, carrier.base)
        assert binding.find(account, "+123456789012345").leads_to == trunk
        binding.bind(account, binding.find(account, "+123456789012345"), URL)
        assert carrier.target("+123456789012345").startswith("AP")
        binding.unbind(account, binding.find(account, "+123456789012345"))
        assert carrier.target("+123456789012345") == trunk


@pytest.mark.parametrize(
    ("typed", "number"), [("+1 (415) 555-0100", NUMBER), ("+1.415.555.0100", NUMBER), (NUMBER, NUMBER)]
)
def test_a_number_as_people_write_it(typed: str, number: str) -> None:
    assert binding.normal(typed) == number


@pytest.mark.parametrize("typed", ["4155550100", "", "+1", "+1415555O100", "+1415;x=1"])
def test_no_number(typed: str) -> None:
    with pytest.raises(UsageError, match="not a phone number"):
        binding.normal(typed)


def test_the_account_of_a_transport() -> None:
    for name, names in KEYS.items():
        assert isinstance(open_account(name, dict.fromkeys(names, "x")), CLASSES[name])
