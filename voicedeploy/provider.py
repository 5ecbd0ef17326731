"""What a provider is: everything the engine asks of a place where bots can run."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from voicedeploy.deployment import Deployment, Release, Status
from voicedeploy.network import Offer
from voicedeploy.plan import Door, Plan, Target
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec

Severity = Literal["error", "warning", "ok"]


@dataclass(frozen=True)
class Finding:
    """One line of `check`. `code` is stable (docs/reference/findings.md); `fix` is what to type or change.

    `about_packets`: it says that packets of callers do not get through. Whoever tried it may overrule that.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    fix: str = ""
    about_packets: bool = False


class Secrets(Protocol):
    """The bot's secret values on a target. Values go in; only names come out."""

    def names(self) -> tuple[str, ...]: ...

    def update(self, values: Mapping[str, str | None]) -> None:
        """Sets each value; None unsets. Takes effect with the next `up`."""
        ...


@runtime_checkable
class Provider(Protocol):
    """One kind of place. There is no `up` or `down` here: a provider plans, the engine carries out.

    `plan` is pure over what `find` saw: it looks, and changes nothing. `plan(None, have)` takes the deployment away.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    @classmethod
    def configure(cls, options: Mapping[str, Any]) -> Self:
        """A provider with the options of `[provider.<name>]`; `SpecError` where they are wrong."""
        ...

    def offer(self, spec: Spec, *, closely: bool) -> Offer:
        """What packets this place carries for this spec. Is asked before `check`.

        `closely`: by trying it, which may take seconds; otherwise what an earlier call has proved need not be tried.
        """
        ...

    def check(self, spec: Spec) -> list[Finding]: ...

    def render(self, spec: Spec) -> list[Artifact]: ...

    def parts(self) -> list[Self]:
        """A provider for each of several places that its options name, in the order in which they are served."""
        ...

    @property
    def where(self) -> str:
        """The place, as a heading names it: `local`, `vm homelab`."""
        ...

    def find(self, bot: str) -> Deployment | None: ...

    def deployments(self) -> list[Deployment]: ...

    def plan(self, want: Spec | None, have: Deployment | None) -> Plan: ...

    def back(self, have: Deployment, release: str) -> Plan:
        """To a release that the target still holds; "" is the last one that was live before this one."""
        ...

    def target(self) -> Target: ...

    def lock(self, bot: str, why: str) -> AbstractContextManager[None]:
        """Held while a plan is made and carried out; `Locked` names the one who holds it."""
        ...

    def status(self, have: Deployment) -> Status: ...

    def releases(self, have: Deployment) -> list[Release]:
        """What the target holds of this bot, newest first."""
        ...

    def door(self, have: Deployment) -> Door:
        """How a caller gets in, with the key."""
        ...

    def logs(self, have: Deployment, *, follow: bool, lines: int, session: str) -> Iterator[str]: ...

    def secrets(self, bot: str) -> Secrets: ...
