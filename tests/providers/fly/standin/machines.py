"""The API's side of machines: leases, versions, metadata, and what each state allows."""

import copy
import shlex
from collections.abc import Callable
from typing import Any

from starlette.routing import Route

from tests.providers.fly.standin import leases
from tests.providers.fly.standin.apps import REGIONS
from tests.providers.fly.standin.door import Answer, Ask, Door
from tests.providers.fly.standin.fitting import duration, fit
from tests.providers.fly.standin.machine import Machine
from tests.providers.fly.standin.shown import shown
from tests.providers.fly.standin.world import Refusal, World, fresh_id, ulid

_ENDED = ("stopped", "suspended", "failed", "created")
_LONGEST_WAIT_S = 60


class Machines:
    def __init__(self, world: World, changed: Callable[[], None]) -> None:
        self._world = world
        self._changed = changed

    def routes(self, door: Door) -> list[Route]:
        all_, one = "/apps/{app}/machines", "/apps/{app}/machines/{machine}"
        actions = {"start": self.start, "stop": self.stop, "signal": self.signal, "exec": self.exec}
        marks = {"cordon": self.cordon, "uncordon": self.uncordon}
        return [
            door.route("GET", all_, "machine.list", self.list),
            door.route("POST", all_, "machine.create", self.create),
            door.route("GET", one, "machine.get", self.get),
            door.route("POST", one, "machine.update", self.update),
            door.route("DELETE", one, "machine.destroy", self.destroy),
            *(door.route("POST", f"{one}/{name}", f"machine.{name}", do) for name, do in (actions | marks).items()),
            door.route("GET", f"{one}/wait", "machine.wait", self.wait),
            door.route("GET", f"{one}/lease", "lease.get", self.lease),
            door.route("POST", f"{one}/lease", "lease.acquire", self.acquire),
            door.route("DELETE", f"{one}/lease", "lease.release", self.release),
            door.route("GET", f"{one}/metadata", "metadata.get", self.metadata),
            door.route("PATCH", f"{one}/metadata", "metadata.set", self.note),
            door.route("PUT", f"{one}/metadata", "metadata.set", self.note),
            door.route("POST", f"{one}/metadata/{{key}}", "metadata.set", self.note_one),
            door.route("DELETE", f"{one}/metadata/{{key}}", "metadata.unset", self.forget),
            door.route("GET", f"{one}/events", "machine.events", self.events),
            door.route("GET", f"{one}/versions", "machine.versions", self.versions),
        ]

    # --- looking ------------------------------------------------------------------------------------

    async def list(self, ask: Ask) -> Answer:
        app = self._world.app(ask.path["app"], ask.org)
        wanted = {k.removeprefix("metadata."): v for k, v in ask.query.items() if k.startswith("metadata.")}
        seen = self._world.clock.monotonic() - self._world.settings.list_lag_s
        everyone = app.machines.values() if ask.query.get("include_deleted") == "true" else app.alive()
        found = [
            self._shown(machine)
            for machine in everyone
            if machine.born <= seen
            and wanted.items() <= machine.config.get("metadata", {}).items()
            and ask.query.get("region", machine.region) == machine.region
            and ask.query.get("state", machine.state) == machine.state
        ]
        return 200, found

    async def get(self, ask: Ask) -> Answer:
        return 200, self._shown(self._machine(ask))

    async def events(self, ask: Ask) -> Answer:
        return 200, self._shown(self._machine(ask))["events"][: int(ask.query.get("limit", 50))]

    async def versions(self, ask: Ask) -> Answer:
        return 200, [{"version": v, "user_config": config} for v, config in reversed(self._machine(ask).versions)]

    async def wait(self, ask: Ask) -> Answer:
        app = self._world.app(ask.path["app"], ask.org)
        machine = app.machines.get(ask.path["machine"])
        if machine is None:
            raise Refusal(404, f"machine not found: {ask.path['machine']}")
        states = set(ask.query.get("state", "started").split(","))
        version = ask.query.get("version") or ask.query.get("instance_id") or ""
        timeout_s = min(max(int(ask.query.get("timeout", _LONGEST_WAIT_S)), 1), _LONGEST_WAIT_S)
        reached = await machine.reaches(states, version, timeout_s)
        if not reached:
            raise Refusal(408, f"deadline_exceeded: request timed out, the machine is {machine.state}")
        return 200, {"ok": True, "state": reached, "version": version or machine.version, "event_id": ulid()}

    # --- changing -----------------------------------------------------------------------------------

    async def create(self, ask: Ask) -> Answer:
        app, body = self._world.app(ask.path["app"], ask.org), ask.body
        region, config = body.get("region") or "fra", body["config"]
        id = fresh_id()
        name = body.get("name") or f"machine-{id}"
        if region not in REGIONS:
            raise Refusal(400, f"invalid_argument: region {region} not found")
        if region in self._world.settings.full_regions:
            raise Refusal(
                422, f"insufficient resources available to fulfill request in {region}", "insufficient_capacity"
            )
        taken = next((m for m in app.alive() if m.name == name), None)
        if taken:
            known = f"machine ID {taken.id} already exists with name {name}"
            raise Refusal(409, f"already_exists: unique machine name violation, {known}")
        fit(app, config, body)
        machine = Machine(self._world, app, id, name, region, ulid(), self._changed)
        machine.config = copy.deepcopy(config)
        machine.versions.append((machine.version, machine.config))
        machine.cordoned = bool(body.get("skip_service_registration"))
        machine.min_secrets_version = body.get("min_secrets_version", 0)
        app.machines[id] = machine
        machine.become("created", "launch", "user")
        nonce = {}
        if body.get("lease_ttl"):
            nonce = {"nonce": leases.grant(machine, self._world.clock, body["lease_ttl"], "")["nonce"]}
        shown = self._shown(machine) | nonce
        if not body.get("skip_launch"):
            machine.spawn(machine.launch())
        return 200, shown

    async def update(self, ask: Ask) -> Answer:
        machine, app = self._changing(ask), self._world.app(ask.path["app"], ask.org)
        current = ask.body.get("current_version")
        if current and current != machine.version:
            raise Refusal(409, "aborted: machine update failed due to concurrent update")
        if (
            ask.body.get("name", machine.name) != machine.name
            or ask.body.get("region", machine.region) != machine.region
        ):
            raise Refusal(400, "invalid_argument: name and region cannot be changed")
        fit(app, ask.body["config"], ask.body)
        machine.min_secrets_version = ask.body.get("min_secrets_version", machine.min_secrets_version)
        machine.update(ulid(), copy.deepcopy(ask.body["config"]), not ask.body.get("skip_launch"))
        return 200, self._shown(machine)

    async def start(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        before = machine.state
        if before == "replacing":
            raise Refusal(412, "failed_precondition: machine getting replaced, refusing to start")
        if before not in (*_ENDED, "started", "starting"):
            raise Refusal(412, "failed_precondition: machine still active, refusing to start")
        if before in _ENDED:
            machine.become("starting", "start", "user")
            machine.spawn(machine.launch())
        return 200, {"previous_state": before, "migrated": False, "new_host": ""}

    async def stop(self, ask: Ask) -> Answer:
        machine, body = self._changing(ask), ask.body or {}
        duration(body.get("timeout", ""))
        machine.spawn(machine.stop(body.get("signal", ""), body.get("timeout", "")))
        return 200, {"ok": True}

    async def signal(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        if machine.process is None:
            raise Refusal(412, "failed_precondition: machine not running")
        machine.process.send(ask.body["signal"])
        return 200, {"ok": True}

    async def exec(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        if machine.process is None:
            raise Refusal(412, "failed_precondition: machine not running")
        command = tuple(ask.body.get("command") or shlex.split(ask.body.get("cmd", "")))
        try:
            return 200, await machine.run(
                command, ask.body.get("stdin", ""), ask.body.get("timeout") or _LONGEST_WAIT_S
            )
        except TimeoutError as error:
            raise Refusal(408, "deadline_exceeded: the command did not end in time") from error
        except FileNotFoundError as error:
            raise Refusal(400, f"invalid_argument: {error}") from error

    async def cordon(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        machine.cordoned = True
        return 200, {"ok": True}

    async def uncordon(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        machine.cordoned = False
        return 200, {"ok": True}

    async def destroy(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        if machine.state not in _ENDED and ask.query.get("force") != "true":
            stopped = "not currently stopped, suspended, failed or created"
            raise Refusal(412, f"failed_precondition: unable to destroy machine, {stopped}")
        machine.spawn(machine.destroy())
        return 200, {"ok": True}

    # --- leases -------------------------------------------------------------------------------------

    async def lease(self, ask: Ask) -> Answer:
        return 200, leases.looked_at(self._machine(ask), self._world.clock)

    async def acquire(self, ask: Ask) -> Answer:
        machine, body = self._changing(ask), ask.body or {}
        granted = leases.grant(machine, self._world.clock, body.get("ttl", 30), body.get("description", ""))
        return 201, {"status": "success", "data": granted}

    async def release(self, ask: Ask) -> Answer:
        leases.give_back(self._changing(ask), self._world.clock)
        return 200, {"ok": True}

    # --- metadata -----------------------------------------------------------------------------------

    async def metadata(self, ask: Ask) -> Answer:
        return 200, self._machine(ask).config.get("metadata", {})

    async def note(self, ask: Ask) -> Answer:
        machine = self._changing(ask)
        if ask.body.get("machine_version", machine.version) != machine.version:
            raise Refusal(412, "machine_version no longer matches the current machine version")
        for key, value in ask.body["metadata"].items():
            self._set(machine, key, value)
        return 204, None

    async def note_one(self, ask: Ask) -> Answer:
        self._set(self._changing(ask), ask.path["key"], ask.body["value"])
        return 204, None

    async def forget(self, ask: Ask) -> Answer:
        self._set(self._changing(ask), ask.path["key"], "")
        return 204, None

    def _set(self, machine: Machine, key: str, value: str) -> None:
        metadata = machine.config.setdefault("metadata", {})
        metadata[key] = value
        if not value:
            del metadata[key]

    # --- what they share ----------------------------------------------------------------------------

    def _machine(self, ask: Ask) -> Machine:
        return self._world.machine(self._world.app(ask.path["app"], ask.org), ask.path["machine"])

    def _changing(self, ask: Ask) -> Machine:
        """The machine, for somebody who may change it: nobody else holds its lease."""
        machine = self._machine(ask)
        leases.let_pass(machine, self._world.clock, ask.nonce)
        self._changed()
        return machine

    def _shown(self, machine: Machine) -> dict[str, Any]:
        return shown(machine, reachable=machine.name not in self._world.settings.unreachable)
