"""One deploy at a time. The host's kernel holds the lock, by a process that lives as long as this connection does."""

import getpass
import json
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import paramiko

from voicedeploy.errors import Locked, NotReady
from voicedeploy_providers.vm.ssh.channel import lines
from voicedeploy_providers.vm.ssh.lost import Dropped

BEAT_S = 5.0
DEAD_S = 30
"""A holder that hears nothing for so long takes the other side for dead. Whole seconds."""
_ANSWER_S = 20.0

# Only who has the lock writes to the file. $3 is ours: after a cut our own holder may still wait for us.
HOLD = """\
set -eu
mkdir -p -- "$(dirname -- "$1")"
exec 9>>"$1"
if ! flock -n 9; then
  for _ in 1 2 3 4 5; do
    sleep 0.2
    said=$(cat -- "$1")
    [ -z "$said" ] || break
  done
  case $said in
    *"\\"token\\": \\"$3\\""*)
      holder=$(printf %s "$said" | sed -n 's/.*"holder": \\([0-9]*\\).*/\\1/p')
      case $(tr '\\0' ' ' <"/proc/$holder/cmdline") in *voicedeploy-*) kill -KILL "$holder" || : ;; esac
      flock -w 5 9 || { printf 'locked %s\\n' "$said"; exit 73; } ;;
    *) printf 'locked %s\\n' "$said"; exit 73 ;;
  esac
fi
printf '%s\\n' "$2" | sed "s/\\"holder\\": 0/\\"holder\\": $$/" >"$1"
echo held
while b=$(timeout "$4" head -c 1 9>&-) && [ -n "$b" ]; do :; done
! [ "$1" -ef /proc/self/fd/9 ] || : >"$1"
"""


class Hold:
    """A held lock; `start` begins the holder on the host, and begins it anew after a cut."""

    def __init__(self, start: Callable[[tuple[str, ...]], paramiko.Channel], path: str, why: str) -> None:
        self._start = start
        self._path = path
        self._token = os.urandom(8).hex()
        self._why = why
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._channel: paramiko.Channel | None = None
        self._released = threading.Event()

    @property
    def held(self) -> bool:
        return self._channel is not None and not self._channel.closed and not self._channel.eof_received

    def take(self) -> None:
        """Raises `Locked` with who has it, `NotReady` where no lock can be made, and `Dropped`."""
        if self._channel is not None:
            self._channel.close()
        text = json.dumps(
            {
                "who": f"{getpass.getuser()}@{socket.gethostname()}",
                "pid": os.getpid(),
                "why": self._why,
                "since": self._since,
                "token": self._token,
                "holder": 0,
            }
        )
        channel = self._start((self._path, text, self._token, str(DEAD_S)))
        channel.settimeout(_ANSWER_S)
        try:
            said = next(lines(channel), "")
        except TimeoutError:
            said = ""
        if said != "held":
            raise self._refusal(channel, said)
        channel.settimeout(None)
        self._channel = channel
        threading.Thread(target=self._beat, args=(channel,), name="lock", daemon=True).start()

    def release(self) -> None:
        """The lock is free when this returns, unless the connection is gone: then it is within half a minute."""
        self._released.set()
        channel = self._channel
        if channel is None or channel.closed:
            return
        try:
            channel.shutdown_write()
            channel.settimeout(_ANSWER_S)
            channel.recv(1)
        except (OSError, EOFError, paramiko.SSHException):
            pass
        channel.close()

    def _refusal(self, channel: paramiko.Channel, said: str) -> Exception:
        if said.startswith("locked "):
            channel.close()
            return Locked.by(said.removeprefix("locked "))
        transport = channel.get_transport()
        transport.join(0.5)
        if not transport.is_active():
            return Dropped("the host hung up")
        err = channel.recv_stderr(4096).decode("utf-8", "replace").strip() if channel.recv_stderr_ready() else ""
        channel.close()
        return NotReady(f"the lock {self._path} cannot be had: {err or 'no answer'}", hint="try again")

    def _beat(self, channel: paramiko.Channel) -> None:
        while not self._released.wait(BEAT_S):
            try:
                channel.sendall(b".")
            except (OSError, EOFError, paramiko.SSHException):
                return
