"""What goes wrong, on purpose."""

from dataclasses import dataclass, field


@dataclass
class Trap:
    """The next `times` requests for `action` (`machine.create`, `app.create`, `secrets.set` …) go wrong.

    `done`: the request is carried out, and only the answer is lost. `status` 0 ends the connection without an answer.
    """

    action: str
    status: int = 503
    done: bool = False
    times: int = 1
    error: str = "something went wrong"
    location: str = ""


@dataclass
class Traps:
    armed: list[Trap] = field(default_factory=list)

    def set(self, *traps: Trap) -> None:
        self.armed += traps

    def take(self, action: str) -> Trap | None:
        for trap in self.armed:
            if trap.action == action and trap.times > 0:
                trap.times -= 1
                return trap
        return None
