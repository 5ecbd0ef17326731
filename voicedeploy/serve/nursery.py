"""Where the bot's processes are born: forked from a zygote, or spawned each on its own."""

import json
import os
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voicedeploy.serve.child import Child
from voicedeploy.serve.config import FrontConfig, secrets_of
from voicedeploy.serve.wire import Failed, Loaded

# The worker runs in the bot's own interpreter; its folder is all that it needs of this package.
WORKER = Path(__file__).parent / "worker"

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 30.0
# After so long a life a death is not the continuation of the last one.
LONG_LIFE_S = 30.0

# What the front's own environment would do to the bot's interpreter.
_OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True)
class Starting:
    """The bot is not loaded (yet, or again)."""


Readiness = Starting | Loaded | Failed


class Nursery(Protocol):
    @property
    def readiness(self) -> Readiness: ...
    @property
    def fertile(self) -> bool:
        """Whether `birth` may be called now."""
        ...

    def birth(self, name: str) -> Child:
        """A child on its way. It may turn out stillborn."""
        ...

    def start(self) -> None: ...
    async def close(self) -> None:
        """Ends what is not a call's: children must be gone before."""
        ...


class Backoff:
    """Seconds to wait after the n-th death in a row."""

    def __init__(self) -> None:
        self._deaths = 0

    def after(self, life_s: float) -> float:
        self._deaths = 0 if life_s > LONG_LIFE_S else self._deaths
        wait = min(FIRST_BACKOFF_S * 2.0**self._deaths, LONGEST_BACKOFF_S)
        self._deaths = min(self._deaths + 1, 16)
        return wait

    def reset(self) -> None:
        self._deaths = 0


def launch(
    config: FrontConfig, worker: Path, *, role: str, child: str | None, control: socket.socket, log_write: int
) -> subprocess.Popen[bytes]:
    """Starts the worker in the bot's interpreter. Raises `OSError` or `ConfigError`."""
    bot = config.bot
    task = {
        "role": role,
        "control_fd": control.fileno(),
        "child": child,
        "project": str(bot.project),
        "entry": bot.entry,
        "release": bot.release,
        "name": bot.name,
        "transport": config.transport.kind,
    }
    # What opens the front, and what relays' credentials are made of, is no business of a bot that strangers talk to.
    kept = {*_OURS, *config.transport.secrets, config.access.key_env}
    env = {key: value for key, value in (os.environ | secrets_of(config)).items() if key not in kept}
    env |= {"VOICEDEPLOY_WORKER": json.dumps(task), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [str(bot.python), str(worker)],
        cwd=bot.project,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=log_write,
        stderr=log_write,
        pass_fds=(control.fileno(),),
        # A Ctrl-C at the terminal is for the front, which tells its calls in its own words.
        process_group=0,
    )


Changed = Callable[[], None]
