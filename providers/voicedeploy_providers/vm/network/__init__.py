"""Who can reach a host's UDP ports: seen from the host, tried from here, and what follows for callers.

::

    seen = look(run, ports, stun=…, turn=…)                     # one command on the host
    address = where_to_try(seen, public_ip)
    reached = try_ports(stream, address, [*ports, *sample(seen.ephemeral)]) if address else Reached("")
    prediction = predict(seen, reached, judge(seen.firewalls, ports, seen.interface), settings)
    advice = advise(seen, reached, settings)
"""

from voicedeploy_providers.vm.network.firewall import Firewall, judge
from voicedeploy_providers.vm.network.looking import Local, Mapped, Seen, look
from voicedeploy_providers.vm.network.probing import Reached, probe, try_ports
from voicedeploy_providers.vm.network.reach import (
    Advice,
    Heard,
    Prediction,
    Settings,
    advise,
    notes,
    predict,
    sample,
    udp_in,
    where_to_try,
)

__all__ = [
    "Advice",
    "Firewall",
    "Heard",
    "Local",
    "Mapped",
    "Prediction",
    "Reached",
    "Seen",
    "Settings",
    "advise",
    "judge",
    "look",
    "notes",
    "predict",
    "probe",
    "sample",
    "try_ports",
    "udp_in",
    "where_to_try",
]
