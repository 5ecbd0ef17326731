"""Fly as a target: a plan's actions as requests to its API, to its registry, and to programs on machines.

`fly:/apps/…` is a path of the Machines API; where it names a machine, by the machine's name. A `Call` with a socket is
for the front on the machine that the socket's first part names.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from voicedeploy import front
from voicedeploy.errors import Locked, NotReady, StepFailed
from voicedeploy.image import Account, Recipe, Reference, build, push
from voicedeploy.image.registry import Registry
from voicedeploy.plan import Action, Call, Command, Prove, Publish, Question, Remove, Start, Stop, Upload, Write
from voicedeploy_providers.fly import inside, udp
from voicedeploy_providers.fly.api import Changed, Config, Fly, IpKind, Machine, NameTaken, NoCapacity
from voicedeploy_providers.fly.generation import PYTHON, SOCKET

MACHINE = "machine:"
PLATFORM = "linux/amd64"
_POLL_S = 2.0
_LOG_LINES = 15
_STARTED_S = 300.0
"""A new machine fetches the image first."""


class Platform:
    """One bot at Fly. `recipe` is of the image that a `Publish` asks for; `nonces` are of leases that are held, by the
    machine's id; `made` is told the id of each machine that was made, before anything else happens to it."""

    def __init__(
        self,
        fly: Fly,
        app: str,
        nonces: Mapping[str, str],
        recipe: Callable[[Publish], Recipe] | None = None,
        made: Callable[[str], None] = lambda machine: None,
    ) -> None:
        self._fly = fly
        self._app = fly.app(app)
        self._recipe = recipe
        self._secrets_version = 0
        self._ids: dict[str, str] = {}
        self._nonces = nonces
        self._made = made
        self._theirs: set[str] = set()
        """Names of what another `up` made at the same time: not ours to take back."""
        self._given: set[str] = set()
        """Addresses that the app did not have before."""

    def ask(self, question: Question) -> str:
        if isinstance(question, Call):
            return self._call(question)
        id = self._id(question.cwd)
        return inside.run(self._app, id, question.argv, timeout_s=question.timeout_s, nonce=self._nonces.get(id, ""))

    def perform(self, action: Action) -> str:
        match action:
            case Call():
                return "" if action.socket and self._call(action) is not None else self._request(action)
            case Write(path=path, content=content) if name := _secret(path):
                self._secrets_version = self._app.secrets.update({name: content.decode()})
            case Remove(paths=paths):
                for path in paths:
                    self._remove(path)
            case Stop(pid_file=machine, grace_s=grace_s):
                return self._end(machine, grace_s)
            case Publish():
                return self._publish(action)
            case Command():
                self.ask(action)
            case Write() | Upload() | Start() | Prove():
                raise TypeError(f"{type(action).__name__} is not for Fly")
        return ""

    # --- fronts -------------------------------------------------------------------------------------

    def _call(self, call: Call) -> str:
        """The answer; where none comes in time, what the machine said last comes with the error."""
        machine, _, socket = call.socket.partition(":")
        path = "/" + call.url.split("/", 3)[3]
        body = json.dumps(call.body) if call.body is not None else ""
        until = time.monotonic() + call.wait_s
        while True:
            # Programs cannot be run before the machine has started, and each is given less than a minute.
            left = until - time.monotonic()
            state = self._started(machine, left) if call.wait_s else "started"
            status, text = 0, f"the machine is {state}"
            if state == "started":
                id = self._id(MACHINE + machine)
                status, text = self._front(id, call.method, path, socket, body, max(0.0, min(left, 40.0)))
            if status == 200:
                return text
            if time.monotonic() >= until or state == "failed" or (status and front.final(status, text)):
                break
            time.sleep(0.5)
        failure = (
            front.refusal(call, status, text)
            if status
            else StepFailed(f"the front on {machine} does not answer: {text}", hint="`voicedeploy logs`")
        )
        raise StepFailed(failure.message, hint=failure.hint, log=failure.log or self._log(machine))

    def _front(
        self, id: str, method: str, path: str, socket: str, body: str = "", wait_s: float = 0.0
    ) -> tuple[int, str]:
        nonce = self._nonces.get(id, "")
        return inside.ask(self._app, id, method, path, socket, python=PYTHON, body=body, wait_s=wait_s, nonce=nonce)

    def _started(self, machine: str, patience_s: float) -> str:
        until = time.monotonic() + patience_s
        while True:
            found = self._app.machines.get(self._id(MACHINE + machine))
            state = found.state if found else "gone"
            if state in ("started", "failed", "gone") or time.monotonic() >= until:
                return state
            time.sleep(_POLL_S)

    def _log(self, machine: str) -> tuple[str, ...]:
        lines = self._app.logs.so_far(machine=self._ids.get(machine, "")).lines
        return tuple(text for line in lines[-_LOG_LINES:] if (text := _plain(line.message)))

    # --- requests -----------------------------------------------------------------------------------

    def _request(self, call: Call) -> str:
        path, body = call.url.removeprefix("fly:"), call.body or {}
        match path.strip("/").split("/"):
            case ["apps"]:
                self._make_app(body["app_name"], body["org_slug"])
            case ["apps", name] if call.method == "DELETE":
                self._remove_unused(name)
            case ["apps", _, "ip_assignments"]:
                return self._assign(body["type"])
            case ["apps", _, "machines"]:
                return self._create(body)
            case ["apps", _, "machines", name, "metadata"]:
                self._app.machines.note(self._id(MACHINE + name), dict(body), nonce=self._nonce(name))
            case ["apps", _, "machines", name, "start" | "cordon" | "uncordon" as what]:
                machines = self._app.machines
                act = {"start": machines.start, "cordon": machines.cordon, "uncordon": machines.uncordon}[what]
                act(self._id(MACHINE + name), nonce=self._nonce(name))
            case _:
                raise TypeError(f"no such request: {call.method} {path}")
        return ""

    def _make_app(self, name: str, org: str) -> None:
        try:
            self._fly.apps.create(name, org)
        except NameTaken as error:
            self._theirs.add(name)
            hint = 'choose another name: [provider.fly] app = "…"; if it is yours, `voicedeploy up` again'
            raise NameTaken(error.message, hint=hint, status=error.status, request_id=error.request_id) from error

    def _assign(self, kind: IpKind) -> str:
        before = {ip.ip for ip in self._app.ips.list()}
        given = self._app.ips.assign(kind).ip
        self._given |= {given} - before
        return given

    def _create(self, body: Mapping[str, Any]) -> str:
        config = Config.model_validate(body["config"])
        config = config.model_copy(update={"image": self._by_digest(config.image), "env": self._env(config.env)})
        refused: NoCapacity | None = None
        for region in body["regions"]:
            try:
                made = self._app.machines.create(
                    body["name"], config, region=region, cordoned=True, min_secrets_version=self._secrets_version
                )
            except NoCapacity as error:
                refused = error
                continue
            except NameTaken as error:
                self._theirs.add(body["name"])
                raise Locked(
                    f"{body['name']} is being made by another `voicedeploy up`",
                    hint="wait until that is over, then `voicedeploy up` again",
                ) from error
            self._ids[made.name] = made.id
            try:
                self._made(made.id)
            except Locked:
                self._theirs.add(made.name)
                raise
            return f"{made.name} in {made.region}"
        assert refused is not None
        raise refused

    def _env(self, env: dict[str, str]) -> dict[str, str]:
        """With the app's address in place of its kind: no plan could know it before it was given."""
        if udp.PUBLIC_IP not in env:
            return env
        kind = env[udp.PUBLIC_IP]
        found = next((ip.ip for ip in self._app.ips.list() if ip.kind == kind), "")
        if not found:
            raise StepFailed(f"{self._app.name} has no address of the kind {kind}", hint="`voicedeploy up` again")
        return {**env, udp.PUBLIC_IP: found}

    def _remove(self, path: str) -> None:
        match path.removeprefix("fly:").strip("/").split("/"):
            case ["apps", app]:
                self._fly.apps.delete(app)
            case ["apps", _, "machines", name]:
                if found := self._find(name):
                    self._app.machines.destroy(found.id, force=True, nonce=self._nonce(name))
            case ["apps", _, "ip_assignments", which]:
                self._release(which)
            case _:
                raise TypeError(f"nothing to remove: {path}")

    def _release(self, which: str) -> None:
        """An address, or what was given here of a kind; because it costs money, it is looked whether it is gone."""

        def there() -> list[str]:
            return [
                ip.ip for ip in self._app.ips.list() if ip.ip == which or (ip.kind == which and ip.ip in self._given)
            ]

        for ip in there():
            self._app.ips.release(ip)
        if left := there():
            raise StepFailed(
                f"{self._app.name} still has {', '.join(left)}, {udp.COST}", hint="once more; else `fly ips release`"
            )

    def _remove_unused(self, app: str) -> None:
        if app in self._theirs:
            return
        machines = [m.name for m in self._app.machines.list() if m.state not in ("destroying", "destroyed")]
        if machines:
            raise StepFailed(f"the app {app} has {', '.join(machines)}", hint="`voicedeploy down` takes all away")
        self._fly.apps.delete(app)

    def _end(self, machine: str, grace_s: float) -> str:
        """Lets calls end in their own time, and takes the machine away."""
        name = machine.removeprefix(MACHINE)
        found = self._find(name)
        if found is None or name in self._theirs:
            return ""
        left = 0
        if found.state == "started":
            # It may end by itself at any moment.
            with suppress(Changed):
                left = self._drain(found, grace_s)
        self._app.machines.destroy(found.id, force=True, nonce=self._nonce(name))
        return f"{left} calls cut" if left else ""

    def _drain(self, machine: Machine, grace_s: float) -> int:
        status, _ = self._front(machine.id, "POST", "/drain", SOCKET, "{}")
        until = time.monotonic() + grace_s
        while status == 200:
            status, text = self._front(machine.id, "GET", "/status", SOCKET)
            busy = int(json.loads(text)["slots"]["busy"]) if status == 200 else 0
            if not busy or time.monotonic() >= until:
                return busy
            time.sleep(_POLL_S)
        return 0

    # --- images -------------------------------------------------------------------------------------

    @property
    def _account(self) -> Account:
        return Account("x", self._fly.token.bare)

    def _publish(self, action: Publish) -> str:
        if self._recipe is None:
            raise TypeError("no image is made here")
        image = build(self._recipe(action))
        pushed = push(image, Reference.parse(action.to), self._account)
        return f"{image.size / 1e6:.0f} MB, {pushed.uploaded / 1e6:.1f} MB of it new there"

    def _by_digest(self, image: str) -> str:
        """The image as it is now: what a tag means may change."""
        reference = Reference.parse(image)
        if reference.digest or reference.registry != self._fly.places.registry_host:
            return image
        with Registry(reference, self._account) as registry:
            _, digest = registry.manifest(PLATFORM)
        return f"{reference.registry}/{reference.repository}@{digest}"

    # --- machines by name ---------------------------------------------------------------------------

    def _id(self, machine: str) -> str:
        name = machine.removeprefix(MACHINE)
        if name not in self._ids and self._find(name) is None:
            raise NotReady(f"{self._app.name} has no machine {name} any more", hint="`voicedeploy up` again")
        return self._ids[name]

    def _find(self, name: str) -> Machine | None:
        found = next((machine for machine in self._app.machines.list() if machine.name == name), None)
        if found:
            self._ids[name] = found.id
        return found

    def _nonce(self, name: str) -> str:
        return self._nonces.get(self._ids.get(name, ""), "")


def _secret(path: str) -> str:
    match = re.fullmatch(r"fly:/apps/[^/]+/secrets/(\w+)", path)
    return match[1] if match else ""


def _plain(message: str) -> str:
    """What a front says in JSON, as a person reads it."""
    try:
        said = json.loads(message)
    except ValueError:
        return message.rstrip()
    if not isinstance(said, dict):
        return message.rstrip()
    return str(said.get("text") or said.get("traceback") or said.get("error") or said.get("event", "")).rstrip()
