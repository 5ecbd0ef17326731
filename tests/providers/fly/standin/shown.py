"""A machine as the API shows it."""

import copy
from typing import Any

from tests.providers.fly.standin.images import parts
from tests.providers.fly.standin.machine import Machine


def shown(machine: Machine, *, reachable: bool) -> dict[str, Any]:
    """Not `reachable`: its host does not answer, and half of its configuration is not known."""
    config = copy.deepcopy(machine.config)
    for service in config.get("services", ()):
        # The words of a request come back as booleans.
        if service.get("autostop") in ("off", "stop"):
            service["autostop"] = service["autostop"] == "stop"
    known = {key: config[key] for key in ("image", "metadata") if key in config}
    registry, repository, tag, digest = parts(config["image"])
    return {
        "id": machine.id,
        "name": machine.name,
        "state": machine.state,
        "region": machine.region,
        "instance_id": machine.version,
        "private_ip": machine.private_ip,
        **({"config": config} if reachable else {"incomplete_config": known}),
        "image_ref": {"registry": registry, "repository": repository, "tag": tag, "digest": digest, "labels": {}},
        "host_status": "ok" if reachable else "unreachable",
        "checks": [{"name": n, **check, "updated_at": machine.updated_at} for n, check in machine.checks.items()],
        "events": list(reversed(machine.events)),
        "created_at": machine.created_at,
        "updated_at": machine.updated_at,
    }
