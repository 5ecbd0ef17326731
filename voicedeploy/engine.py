"""Check, plan, carry out, verify. No terminal here: whoever watches is told by a `Watch`."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from voicedeploy import verdicts
from voicedeploy.errors import NotReady, VoiceDeployError
from voicedeploy.network import LeadsElsewhere, Offer, Transport, Verdict, need, verdict
from voicedeploy.plan import Action, Door, Plan, Prove, Step, Target
from voicedeploy.provider import Finding, Provider
from voicedeploy.spec import Spec
from voicedeploy.verdicts import Refused

Prover = Callable[[Door, str], str]
"""Makes one real call, or reads the report (JSON) of one that the target made; a line about what was heard, or
`NotHeard`."""


class Watch(Protocol):
    """Told what happens while it happens."""

    def begins(self, step: Step) -> None: ...

    def ends(self, step: Step, seconds: float, note: str) -> None: ...

    def fails(self, step: Step, error: BaseException) -> None: ...

    def undoes(self, step: Step, error: BaseException | None) -> None:
        """A step is taken back; `error` says that even that failed."""
        ...


@dataclass(frozen=True)
class Checkup:
    provider: str
    transport: Transport
    relay: bool
    """A TURN server is configured."""
    offer: Offer
    verdict: Verdict
    findings: tuple[Finding, ...]
    """Where the verdict is `no`, the first of them is about that."""
    overruled: bool = False
    """Packets would not get through by all that is known, and somebody answers for it: a call must prove it."""

    @property
    def to_prove(self) -> bool:
        """A call has to prove that packets get through, and cannot be left out."""
        return self.overruled or bool(self.verdict.unproven)

    @property
    def obstacles(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def refused(self) -> Refused | None:
        """Why the target cannot carry the transport; None where it can, or where that was overruled."""
        if self.overruled and verdicts.of_packets(self.verdict):
            return None
        return verdicts.refused(self.provider, self.transport, self.relay, self.offer, self.verdict)

    @property
    def blocked(self) -> bool:
        return self.refused is not None or bool(self.obstacles)


def check(provider: Provider, spec: Spec, *, closely: bool = True, tested_udp: bool = False) -> Checkup:
    """Everything that stands in the way. Changes nothing. `closely`: see `Provider.offer`.

    `tested_udp`: somebody answers for it that packets get through, so what speaks against it only warns.
    """
    seen = packets(provider, spec, closely=closely, tested_udp=tested_udp)
    found = tuple(provider.check(spec))
    overruled = seen.overruled or (tested_udp and any(f.about_packets for f in found))
    if tested_udp:
        found = tuple(replace(f, severity="warning") if f.about_packets else f for f in found)
    return replace(seen, findings=(*seen.findings, *found), overruled=overruled)


def packets(provider: Provider, spec: Spec, *, closely: bool = False, tested_udp: bool = False) -> Checkup:
    """The verdict alone: whether packets get through."""
    kind = spec.transport.kind
    relay = bool(spec.transport.turn)
    offer = provider.offer(spec, closely=closely)
    said = verdict(LeadsElsewhere() if spec.upstream else need(kind, relay), offer)
    why = verdicts.refused(provider.name, kind, relay, offer, said)
    about = verdicts.finding(offer, said, why, tested=tested_udp) if why else verdicts.unproven(said)
    found = (about,) if about else ()
    overruled = tested_udp and why is not None and verdicts.of_packets(said)
    return Checkup(provider.name, kind, relay, offer, said, found, overruled)


def refuse(checkup: Checkup) -> None:
    """`NotReady` if anything in the checkup forbids to go on."""
    if why := checkup.refused:
        said = "\n".join((f"the target cannot carry `{checkup.transport}`", checkup.verdict.reason, *why.because))
        raise NotReady(said, hint="\n".join(why.instead))
    if checkup.obstacles:
        first = checkup.obstacles[0]
        others = len(checkup.obstacles) - 1
        more = f" (and {others} more: `voicedeploy check`)" if others else ""
        raise NotReady(f"{first.subject}: {first.message}{more}", hint=first.fix)


def carry_out(plan: Plan, target: Target, prove: Prover, watch: Watch) -> None:
    """Performs the steps as they stand in the plan, in their order.

    When one fails, or the person interrupts, what came before it is undone back to the last step that commits, the
    failed step included; then the error goes on.
    """
    open_steps: list[Step] = []
    for step in plan.steps:
        watch.begins(step)
        started = time.monotonic()
        open_steps.append(step)
        try:
            note = _perform(step.action, target, prove)
        except BaseException as error:
            watch.fails(step, error)
            _undo(open_steps, target, prove, watch)
            raise
        if step.commits:
            open_steps.clear()
        watch.ends(step, time.monotonic() - started, note)


def verify(plan: Plan, provider: Provider, prove: Prover, watch: Watch) -> None:
    """The call through the address that callers use, where the plan asks for it. `NotHeard` takes nothing back."""
    have = provider.find(plan.bot) if plan.verify else None
    if have is None:
        return
    door = provider.door(have)
    step = Step("✓", "live", door.url, Prove(door))
    watch.begins(step)
    started = time.monotonic()
    try:
        note = prove(door, "")
    except BaseException as error:
        watch.fails(step, error)
        raise
    watch.ends(step, time.monotonic() - started, note)


def _perform(action: Action, target: Target, prove: Prover) -> str:
    if not isinstance(action, Prove):
        return target.perform(action)
    return prove(action.door, target.ask(action.at_target) if action.at_target else "")


def _undo(steps: list[Step], target: Target, prove: Prover, watch: Watch) -> None:
    for step in reversed(steps):
        if step.undo is None:
            continue
        try:
            _perform(step.undo, target, prove)
        except VoiceDeployError as error:
            watch.undoes(step, error)
        else:
            watch.undoes(step, None)
