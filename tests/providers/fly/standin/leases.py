"""Leases: for a time nobody changes a machine but who has the nonce."""

from typing import Any

from tests.providers.fly.standin.machine import Machine
from tests.providers.fly.standin.world import Refusal, fresh_id
from tests.providers.standins.clock import Clock


def grant(machine: Machine, clock: Clock, ttl_s: int, why: str) -> dict[str, Any]:
    """A new one, or the one that is held for longer."""
    held = _held(machine, clock)
    machine.lease = {
        "nonce": held["nonce"] if held else fresh_id(),
        "expires_at": int(clock.wall() + ttl_s),
        "owner": "someone@example.org",
        "description": why,
        "version": machine.version,
    }
    return machine.lease


def looked_at(machine: Machine, clock: Clock) -> dict[str, Any]:
    """Without the nonce."""
    held = _held(machine, clock)
    if held is None:
        raise Refusal(404, "lease not found")
    return {"status": "success", "data": {key: value for key, value in held.items() if key != "nonce"}}


def give_back(machine: Machine, clock: Clock) -> None:
    if _held(machine, clock) is None:
        raise Refusal(404, "lease not found")
    machine.lease = None


def let_pass(machine: Machine, clock: Clock, nonce: str) -> None:
    held = _held(machine, clock)
    if held and held["nonce"] != nonce:
        raise Refusal(409, f"lease currently held by {held['owner']}, expires at {held['expires_at']}")


def _held(machine: Machine, clock: Clock) -> dict[str, Any] | None:
    lease = machine.lease
    return lease if lease and lease["expires_at"] > clock.wall() else None
