"""The walk over a plan: order, undo, and what an interruption leaves."""

from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from voicedeploy import engine
from voicedeploy.deployment import Deployment
from voicedeploy.errors import NotHeard, NotReady, StepFailed
from voicedeploy.network import NoUdp, Offer, Transport, Verdict
from voicedeploy.plan import Action, Command, Door, Plan, Prove, Question, Remove, Start, Step, Stop
from voicedeploy.provider import Finding, Provider


def command(name: str) -> Command:
    return Command((name,))


@dataclass
class Recorder:
    """A target that writes down what it is told to do, and fails where it is told to."""

    fails_at: Action | None = None
    interrupted_at: Action | None = None
    did: list[Action] = field(default_factory=list)

    def ask(self, question: Question) -> str:
        raise AssertionError("carrying out a plan asks nothing")

    def perform(self, action: Action) -> str:
        self.did.append(action)
        if action == self.fails_at:
            raise StepFailed("no")
        if action == self.interrupted_at:
            raise KeyboardInterrupt
        return ""


@dataclass
class Notes:
    said: list[str] = field(default_factory=list)

    def begins(self, step: Step) -> None:
        self.said.append(f"begins {step.subject}")

    def ends(self, step: Step, seconds: float, note: str) -> None:
        self.said.append(f"ends {step.subject} {note}".strip())

    def fails(self, step: Step, error: BaseException) -> None:
        self.said.append(f"fails {step.subject}")

    def undoes(self, step: Step, error: BaseException | None) -> None:
        self.said.append(f"undoes {step.subject}{' badly' if error else ''}")


START = Start(("front",), "log", "pid")
PLAN = Plan(
    "test",
    "bot",
    None,
    "1",
    (
        Step("+", "release", "", command("a"), undo=Remove(("a",))),
        Step("+", "front", "", START, undo=Stop("pid")),
        Step("✓", "heard", "", Prove(Door("http://x"))),
        Step("~", "traffic", "", command("t"), commits=True),
        Step("-", "old", "", command("o")),
    ),
)


def heard(door: Door, report: str) -> str:
    return f"heard at {door.url}"


def not_heard(door: Door, report: str) -> str:
    raise NotHeard("silence")


def test_steps_in_their_order_and_the_proof_between_them() -> None:
    target, notes = Recorder(), Notes()
    engine.carry_out(PLAN, target, heard, notes)
    assert target.did == [command("a"), START, command("t"), command("o")]
    assert notes.said[4:6] == ["begins heard", "ends heard heard at http://x"]


def test_what_is_not_heard_is_taken_back_in_reverse_order() -> None:
    target, notes = Recorder(), Notes()
    with pytest.raises(NotHeard):
        engine.carry_out(PLAN, target, not_heard, notes)
    assert target.did == [command("a"), START, Stop("pid"), Remove(("a",))]
    assert notes.said[-3:] == ["fails heard", "undoes front", "undoes release"]


def test_the_failed_step_is_taken_back_too() -> None:
    target = Recorder(fails_at=START)
    with pytest.raises(StepFailed):
        engine.carry_out(PLAN, target, heard, Notes())
    assert target.did[-2:] == [Stop("pid"), Remove(("a",))]


def test_nothing_is_taken_back_once_traffic_has_moved() -> None:
    target = Recorder(fails_at=command("o"))
    with pytest.raises(StepFailed):
        engine.carry_out(PLAN, target, heard, Notes())
    assert target.did == [command("a"), START, command("t"), command("o")]


def test_ctrl_c_takes_back_like_a_failure() -> None:
    target = Recorder(interrupted_at=START)
    with pytest.raises(KeyboardInterrupt):
        engine.carry_out(PLAN, target, heard, Notes())
    assert target.did[-2:] == [Stop("pid"), Remove(("a",))]


def test_an_undo_that_fails_is_said_and_the_others_go_on() -> None:
    target, notes = Recorder(fails_at=Stop("pid")), Notes()
    with pytest.raises(NotHeard):
        engine.carry_out(PLAN, target, not_heard, notes)
    assert notes.said[-2:] == ["undoes front badly", "undoes release"]


def test_without_proof_and_at_once() -> None:
    assert [s.subject for s in PLAN.without_proof().steps] == ["release", "front", "traffic", "old"]
    plan = Plan("test", "bot", "1", None, (Step("-", "front", "", Stop("pid", 1800.0)),))
    action = plan.at_once().steps[0].action
    assert isinstance(action, Stop)
    assert action.grace_s == 0.0


def checkup(word: str = "direct", *findings: Finding) -> engine.Checkup:
    verdict = Verdict(word, "udp-in", "UDP does not get in.")  # type: ignore[arg-type]
    offer = Offer(NoUdp("it is a test"))
    return engine.Checkup("cloudrun", Transport.WEBRTC, False, offer, verdict, findings)


def test_a_target_that_cannot_carry_the_packets_is_refused() -> None:
    with pytest.raises(NotReady) as caught:
        engine.refuse(checkup("no"))
    assert "UDP does not get in" in caught.value.message
    assert "`twilio`" in caught.value.hint


def test_warnings_do_not_refuse_and_errors_do_with_their_fix() -> None:
    engine.refuse(checkup("direct", Finding("VD1", "warning", "disk", "little", "free some")))
    with pytest.raises(NotReady) as caught:
        engine.refuse(
            checkup("direct", Finding("VD1", "error", "port", "taken", "port = 1"), Finding("VD2", "error", "a", "b"))
        )
    assert caught.value.hint == "port = 1"
    assert "1 more" in caught.value.message


class Answering(Recorder):
    def ask(self, question: Question) -> str:
        return '{"runs": []}'


def test_a_call_that_the_target_makes_is_judged_by_its_report() -> None:
    reports: list[str] = []

    def judge(door: Door, report: str) -> str:
        reports.append(report)
        return "heard"

    there = Plan("test", "bot", None, "1", (Step("✓", "heard", "", Prove(Door("http://x"), command("call"))),))
    engine.carry_out(there, Answering(), judge, Notes())
    assert reports == ['{"runs": []}']


def test_verify_calls_through_the_door_that_callers_use() -> None:
    class Found:
        def find(self, bot: str) -> Deployment:
            return Deployment("test", bot, "1", "webrtc", "https://x/")

        def door(self, have: Deployment) -> Door:
            return Door(have.url, key="k")

    called: list[Door] = []

    def prove(door: Door, report: str) -> str:
        called.append(door)
        return "heard"

    notes = Notes()
    engine.verify(PLAN, cast(Provider, Found()), prove, notes)
    assert called == [], "nobody asked for it"
    engine.verify(replace(PLAN, verify=True), cast(Provider, Found()), prove, notes)
    assert called == [Door("https://x/", key="k")]
    assert notes.said == ["begins live", "ends live heard"]
    with pytest.raises(NotHeard):
        engine.verify(replace(PLAN, verify=True), cast(Provider, Found()), not_heard, notes)
    assert not replace(PLAN, verify=True).without_proof().verify
