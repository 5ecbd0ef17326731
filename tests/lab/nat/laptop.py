"""What `check` does on somebody's laptop: looks from the host, then tries its ports from here.

`python laptop.py HOST_NAMESPACE` with `{"ports", "stun", "turn", "public_ip"}` as input. The host's shell is reached by
entering its namespace; everything else goes over the lab's network.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict

from voicedeploy_providers.vm.network.looking import look
from voicedeploy_providers.vm.network.probing import Reached, try_ports
from voicedeploy_providers.vm.network.reach import sample, where_to_try

HOST = ["ip", "netns", "exec", sys.argv[1], "sh", "-c"]


def run(script: str, args: Sequence[str]) -> str:
    return subprocess.run([*HOST, script, "sh", *args], stdout=subprocess.PIPE, text=True, check=True).stdout


def stream(script: str, args: Sequence[str]) -> Iterator[str]:
    process = subprocess.Popen(
        [*HOST, script, "sh", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    try:
        yield from process.stdout
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)  # as a connection that closes does
        process.wait()
        process.stdout.close()


asked = json.loads(sys.stdin.read())
seen = look(run, asked["ports"], stun=asked["stun"], turn=asked["turn"])
address = where_to_try(seen, asked["public_ip"])
ports = [*asked["ports"], *sample(seen.ephemeral)]
reached = try_ports(stream, address, ports) if address else Reached("", tuple(ports))
sys.stdout.write(json.dumps({"seen": asdict(seen), "reached": asdict(reached)}))
