"""Machines of an app. Where a lease is held, its `nonce` goes with every call that changes something."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from voicedeploy.api import Wire
from voicedeploy_providers.fly.api.config import Config
from voicedeploy_providers.fly.api.errors import NameTaken, NotFound, Unanswered, WaitedTooLong
from voicedeploy_providers.fly.api.records import Executed, Lease, Machine, Reached, Record
from voicedeploy_providers.fly.api.wire import held

_LONGEST_WAIT_S = 60
"""One request waits no longer."""
_LONGEST_STOP_S = 300


class _LeaseAnswer(Record):
    data: Lease


class Machines:
    def __init__(self, wire: Wire, app: str) -> None:
        self._wire = wire
        self._app = app
        self._path = f"/apps/{quote(app, safe='')}/machines"

    # --- looking ------------------------------------------------------------------------------------

    def list(self, metadata: Mapping[str, str] | None = None, *, region: str = "") -> tuple[Machine, ...]:
        """Those with all of `metadata`. The list may be some seconds behind what was just done."""
        what = f"listing the machines of {self._app}"
        params = {f"metadata.{key}": value for key, value in (metadata or {}).items()}
        if region:
            params["region"] = region
        found = self._wire.read(tuple[Machine, ...], self._wire.call("GET", self._path, what, params=params), what)
        wanted = (metadata or {}).items()
        return tuple(machine for machine in found if wanted <= machine.metadata.items())

    def get(self, machine: str) -> Machine | None:
        what = f"looking at the machine {machine}"
        try:
            return self._wire.read(Machine, self._wire.call("GET", self._of(machine), what), what)
        except NotFound:
            return None

    def wait(self, machine: str, *states: str, version: str = "", timeout_s: float = 60.0) -> str:
        """The state that it reached: of `states`, or `replaced` where `version` is no longer the machine's.

        Without `version` a machine that is being replaced can be seen in the state of before.
        """
        what = f"waiting for {machine} to be {' or '.join(states)}"
        until = self._wire.clock.monotonic() + timeout_s
        while (left := until - self._wire.clock.monotonic()) > 0:
            wait_s = max(1, min(_LONGEST_WAIT_S, round(left)))
            params = {"state": ",".join(states), "timeout": str(wait_s)} | ({"version": version} if version else {})
            try:
                answer = self._wire.call("GET", self._of(machine, "wait"), what, params=params, answer_s=wait_s + 15.0)
            except NotFound:
                if "destroyed" in states:
                    return "destroyed"
                raise
            except Unanswered as error:
                if error.status == 408:
                    continue
                raise
            return self._wire.read(Reached, answer, what).state or states[0]
        raise WaitedTooLong(
            f"{what}: not after {timeout_s:g} s",
            hint="`voicedeploy logs` has what it said last, `voicedeploy status` what Fly says of it",
        )

    # --- changing -----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        config: Config,
        *,
        region: str,
        cordoned: bool = False,
        launch: bool = True,
        min_secrets_version: int = 0,
        lease_s: int = 0,
    ) -> Machine:
        """One machine of this `name`, never two: the same name is the same machine, whatever becomes of the answer.

        `config.metadata` tells ours from others'; `NameTaken` where a machine of that name has other metadata.
        `cordoned`: the proxy sends it nothing until it is uncordoned.
        """
        what = f"creating the machine {name} in {region}"
        body: dict[str, Any] = {"name": name, "region": region, "config": config.wire()}
        if cordoned:
            body["skip_service_registration"] = True
        if not launch:
            body["skip_launch"] = True
        if min_secrets_version:
            body["min_secrets_version"] = min_secrets_version
        if lease_s:
            body["lease_ttl"] = lease_s

        def find() -> Machine | None:
            return next((m for m in self.list(config.metadata) if m.name == name), None)

        def make() -> Machine:
            try:
                return self._wire.read(Machine, self._wire.call("POST", self._path, what, body=body, again=False), what)
            except NameTaken:
                if (there := find()) is not None:
                    return there
                raise

        return self._wire.once(make, find, what)

    def update(
        self, machine: Machine, config: Config, *, launch: bool = True, min_secrets_version: int = 0, nonce: str = ""
    ) -> Machine:
        """A new version in place, which ends what runs on it. `Changed` if it is no longer the version of `machine`."""
        what = f"updating the machine {machine.name}"
        body: dict[str, Any] = {"config": config.wire(), "current_version": machine.instance_id}
        if not launch:
            body["skip_launch"] = True
        if min_secrets_version:
            body["min_secrets_version"] = min_secrets_version

        def find() -> Machine | None:
            now = self.get(machine.id)
            return now if now and now.instance_id != machine.instance_id else None

        def make() -> Machine:
            answer = self._wire.call("POST", self._of(machine.id), what, body=body, headers=held(nonce), again=False)
            return self._wire.read(Machine, answer, what)

        return self._wire.once(make, find, what)

    def start(self, machine: str, *, nonce: str = "") -> None:
        self._act(machine, "start", nonce)

    def stop(self, machine: str, *, signal: str = "SIGTERM", timeout_s: float = 30.0, nonce: str = "") -> None:
        """Asks it to end, and returns at once; Fly kills it after `timeout_s`, at most 300 s."""
        body = {"signal": signal, "timeout": f"{min(timeout_s, _LONGEST_STOP_S):g}s"}
        self._act(machine, "stop", nonce, body)

    def signal(self, machine: str, signal: str, *, nonce: str = "") -> None:
        """May arrive once or not at all, never twice."""
        self._act(machine, "signal", nonce, {"signal": signal}, again=False)

    def cordon(self, machine: str, *, nonce: str = "") -> None:
        """The proxy sends it nothing new."""
        self._act(machine, "cordon", nonce)

    def uncordon(self, machine: str, *, nonce: str = "") -> None:
        self._act(machine, "uncordon", nonce)

    def destroy(self, machine: str, *, force: bool = False, nonce: str = "") -> None:
        """One that is not there is fine. `Changed` while it runs, unless `force`, which kills it."""
        what = f"destroying the machine {machine}"
        params = {"force": "true"} if force else None
        try:
            self._wire.call("DELETE", self._of(machine), what, params=params, headers=held(nonce))
        except NotFound:
            return

    def run(
        self, machine: str, command: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0, nonce: str = ""
    ) -> Executed:
        """Runs a program on the machine beside the one that is there, with its environment. Its failure is no error."""
        wait_s = max(1, round(timeout_s))
        body: dict[str, Any] = {"command": [*command], "timeout": wait_s, **({"stdin": stdin} if stdin else {})}
        what = f"running {command[0]} on the machine {machine}"
        answer = self._wire.call(
            "POST", self._of(machine, "exec"), what, body=body, headers=held(nonce), again=False, answer_s=wait_s + 15.0
        )
        return self._wire.read(Executed, answer, what)

    # --- leases -------------------------------------------------------------------------------------

    def lease(self, machine: str, ttl_s: int, why: str = "", *, nonce: str = "") -> Lease:
        """Nobody else changes it for `ttl_s`; with the `nonce` of the lease that is held, for `ttl_s` more from now."""
        what = f"leasing the machine {machine}"
        body = {"ttl": ttl_s, "description": why}
        again = bool(nonce)  # without it, a lease whose answer was lost would be in the way of the second
        answer = self._wire.call("POST", self._of(machine, "lease"), what, body=body, headers=held(nonce), again=again)
        return self._wire.read(_LeaseAnswer, answer, what).data

    def release(self, machine: str, nonce: str) -> None:
        """One that ran out is fine."""
        try:
            self._wire.call(
                "DELETE", self._of(machine, "lease"), f"giving back the lease of {machine}", headers=held(nonce)
            )
        except NotFound:
            return

    @contextmanager
    def leased(self, machine: str, ttl_s: int, why: str = "") -> Iterator[str]:
        """The nonce, for as long as the block takes, at most `ttl_s`."""
        lease = self.lease(machine, ttl_s, why)
        try:
            yield lease.nonce
        finally:
            self.release(machine, lease.nonce)

    # --- metadata -----------------------------------------------------------------------------------

    def metadata(self, machine: str) -> dict[str, str]:
        what = f"reading the metadata of {machine}"
        return self._wire.read(dict[str, str], self._wire.call("GET", self._of(machine, "metadata"), what), what)

    def note(self, machine: str, values: Mapping[str, str], *, version: str = "", nonce: str = "") -> None:
        """Sets metadata at once, without a new version or a restart; "" removes one.

        `version`: only while the machine has that one, otherwise `Changed`.
        """
        body: dict[str, Any] = {"metadata": dict(values), **({"machine_version": version} if version else {})}
        what = f"writing the metadata of {machine}"
        self._wire.call("PATCH", self._of(machine, "metadata"), what, body=body, headers=held(nonce), again=True)

    # --- the way there ------------------------------------------------------------------------------

    def _of(self, machine: str, action: str = "") -> str:
        return f"{self._path}/{quote(machine, safe='')}" + (f"/{action}" if action else "")

    def _act(self, machine: str, action: str, nonce: str, body: Any = None, *, again: bool = True) -> None:
        what = f"{_DOING[action]} the machine {machine}"
        self._wire.call("POST", self._of(machine, action), what, body=body, headers=held(nonce), again=again)


_DOING = {
    "start": "starting",
    "stop": "stopping",
    "signal": "signalling",
    "cordon": "cordoning",
    "uncordon": "uncordoning",
}
