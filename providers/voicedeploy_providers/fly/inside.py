"""Programs run on a machine, by Fly's own way to do that: no SSH, no network of the organization's."""

import json

from voicedeploy.errors import StepFailed
from voicedeploy_providers.fly.api import App

_LONGEST_S = 55
"""So long one request to run something may take."""
ASK = "voicedeploy.ask"


def run(app: App, machine: str, argv: tuple[str, ...], *, timeout_s: float = _LONGEST_S, nonce: str = "") -> str:
    """What it printed; `StepFailed` with its last words where it failed. `nonce`: of the lease that is held on it."""
    done = app.machines.run(machine, argv, timeout_s=min(timeout_s, _LONGEST_S), nonce=nonce)
    if done.exit_code:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise StepFailed(
            f"`{argv[0].rpartition('/')[2]}` failed there with exit code {done.exit_code}", log=tuple(lines[-15:])
        )
    return done.stdout


def ask(
    app: App,
    machine: str,
    method: str,
    path: str,
    socket: str,
    *,
    python: str,
    body: str = "",
    wait_s: float = 0.0,
    nonce: str = "",
) -> tuple[int, str]:
    """What the front there answers, asked again for `wait_s` until it is 200; status 0 is no answer."""
    argv = (python, "-I", "-m", ASK, "call", method, path, socket, f"{wait_s:g}", "")
    done = app.machines.run(machine, argv, stdin=body, timeout_s=min(wait_s + 15, _LONGEST_S), nonce=nonce)
    if done.exit_code:
        return 0, (done.stderr.strip().splitlines() or ["no answer"])[-1]
    answer = json.loads(done.stdout)
    return int(answer["status"]), str(answer["body"])
