"""A shell on the host: scripts as root, files, folders, and the deploy lock."""

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import paramiko

from voicedeploy.errors import Locked, NotReady, StepFailed
from voicedeploy_providers.vm.ssh import tree
from voicedeploy_providers.vm.ssh.channel import KILLED, Feed, Finished, Send, TookTooLong, begin, execute, gone, lines
from voicedeploy_providers.vm.ssh.connection import Connection, connect
from voicedeploy_providers.vm.ssh.lock import HOLD, Hold
from voicedeploy_providers.vm.ssh.lost import ConnectionLost, Dropped
from voicedeploy_providers.vm.ssh.root import Root
from voicedeploy_providers.vm.ssh.script import Script

_PAUSES_S = (1.0, 5.0, 14.0)
"""Before each new try after a cut: a host that restarts its sshd, a laptop that changes its network."""
_LOG_LINES = 15
_DISK_FULL = ("No space left on device", "Disk quota exceeded", ": Wrote only ")  # the last one is tar's
_PUT_S = 600.0
_TREE_S = 1800.0

# The size is compared, for a cut looks like an end.
_PUT = """\
set -eu
folder=$(dirname -- "$1")
mkdir -p -- "$folder"
part=$(mktemp -- "$folder/.voicedeploy.XXXXXX")
trap 'rm -f -- "$part"' EXIT
cat >"$part"
[ "$(wc -c <"$part")" -eq "$3" ]
chmod -- "$2" "$part"
sync -- "$part"
mv -fT -- "$part" "$1"
sync -- "$folder"
"""
# What an earlier connection began may still run. It is given half a minute to end, and is then ended, with all its
# children: a session of sshd is a process group.
_END = """\
n=0
while found=$(printf %s "$1" | grep -lsFf - /proc/[0-9]*/cmdline); [ -n "$found" ]; do
  n=$((n + 1))
  if [ "$n" -gt "$2" ]; then
    [ "$n" -le $(($2 + 10)) ] && signal=TERM || signal=KILL
    for p in $found; do
      read -r _ _ _ _ group _ 2>/dev/null <"${p%cmdline}stat" && kill -s "$signal" -- "-$group" || :
    done
  fi
  [ "$n" -le $(($2 + 20)) ] || exit 1
  sleep 0.5
done
"""
# A reader whose other side is gone would wait for a line for ever.
_WATCHED = """\
exec 3<&0 </dev/null
{ cat; kill -TERM 0; } <&3 >/dev/null 2>&1 &
exec 3<&-
"""


@dataclass(frozen=True)
class Result:
    """`code` is -1 where a signal ended it."""

    code: int
    out: str
    err: str


class Shell:
    """Runs things on the host of `connection`, as root where not said otherwise.

    A connection that drops is had again, up to three times within some 20 s, and what was being done is done once
    more: with `again=False` it is not, for what must not be done twice. After that `ConnectionLost`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._root = Root()
        self._holds: list[Hold] = []
        self._guard = threading.RLock()

    @property
    def name(self) -> str:
        return self._connection.route.name

    @property
    def connection(self) -> Connection:
        """The one in use now; after a cut it is another one."""
        return self._connection

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(
        self,
        script: str,
        *,
        args: Sequence[str] = (),
        stdin: bytes = b"",
        root: bool = True,
        timeout_s: float = 600,
        check: bool = True,
        again: bool = True,
        what: str = "a command",
    ) -> Result:
        """Runs a POSIX sh script with `args` as $1, $2 …; none of it, nor `stdin`, is seen in the host's `ps`.

        The script starts when all of `stdin` has arrived. `what` names it in messages. Raises `StepFailed` with its
        last lines if it fails and `check` is set, or if it does not end within `timeout_s`.
        """
        order = Script(script, args, root=root, staged=len(stdin))
        done = self._perform(order, lambda send: send(stdin), root, timeout_s, what, again)
        if check and done.code:
            raise self._failure(done, what)
        return done

    def put(self, path: str, content: bytes, mode: int = 0o644, *, again: bool = True) -> None:
        """Writes a file of root's, whole or not at all; missing folders are made."""
        order = Script(_PUT, (path, f"{mode:04o}", str(len(content))), root=True, staged=None)
        what = f"writing {path}"
        done = self._perform(order, lambda send: send(content), True, _PUT_S, what, again)
        if done.code:
            raise self._failure(done, what)

    def put_tree(self, root: Path, files: Iterable[str], to: str, *, again: bool = True) -> None:
        """Files below the local folder `root` become the new folder `to`, whole or not at all.

        Nothing is done where `to` is there. Symlinks stay symlinks; modes become 755 or 644.
        """
        names = tuple(files)
        what = f"copying {len(names)} files to {to}"

        def feed(send: Send) -> None:
            tree.pack(root, names, send)

        order = Script(tree.UNPACK, (to, secrets.token_hex(6)), root=True, staged=None)
        done = self._perform(order, feed, True, _TREE_S, what, again)
        if done.code:
            raise self._failure(done, what)

    def stream(
        self, script: str, args: Sequence[str] = (), *, root: bool = True, what: str = "a command"
    ) -> Iterator[str]:
        """The lines that a script prints, as they come; closing the iterator ends the script on the host.

        Raises `StepFailed` if it fails, and `ConnectionLost`: a stream is not taken up again.
        """
        order = Script(_WATCHED + script, args, root=root, staged=None)
        try:
            channel = self._begin(order, root)
            err = bytearray()
            try:
                reader = threading.Thread(target=_tail, args=(channel, err), daemon=True)
                reader.start()
                yield from lines(channel)
                code = channel.recv_exit_status()
                reader.join()
            finally:
                channel.close()
            if code == KILLED:
                gone(self._connection)
        except Dropped as error:
            raise self._lost(what, error) from error
        if code:
            raise self._failure(Result(code, "", err.decode("utf-8", "replace").replace(order.mark, "sh")), what)

    @contextmanager
    def hold(self, path: str, why: str) -> Iterator[None]:
        """Holds the lock file `path` on the host, for as long as this process and its connection live.

        Raises `Locked` with who has it. After a cut it is had again before anything else is done; if somebody else
        came in between, that raises `StepFailed`.
        """
        hold = Hold(lambda args: self._begin(Script(HOLD, args, root=True, staged=None), True), path, why)
        try:
            hold.take()
        except Dropped:
            self._reconnect(self._connection)
            try:
                hold.take()
            except Dropped as error:
                raise self._lost("taking the lock", error) from error
        self._holds.append(hold)
        try:
            yield
        finally:
            self._holds.remove(hold)
            hold.release()

    def _perform(
        self,
        order: Script,
        feed: Feed,
        root: bool,
        timeout_s: float,
        what: str,
        again: bool,
    ) -> Result:
        pauses = iter(_PAUSES_S if again else ())
        while True:
            used = self._connection
            try:
                self._keep_holds()
                return self._once(order, feed, root, timeout_s, what)
            except Dropped as error:
                lost = error
            while True:
                pause = next(pauses, None)
                if pause is None:
                    raise self._lost(what, lost) from lost
                time.sleep(pause)
                try:
                    self._reconnect(used)
                    self._end(order.mark, 60, root)
                    break
                except Dropped as error:
                    lost = error
                    used = self._connection

    def _once(self, order: Script, feed: Feed, root: bool, timeout_s: float, what: str) -> Result:
        prefix, password = self._root.before(self._connection) if root else ("", b"")

        def everything(send: Send) -> None:
            send(password + order.head)
            feed(send)

        try:
            done: Finished = execute(self._connection, prefix + order.command, everything, timeout_s)
        except TookTooLong:
            with suppress(Dropped, StepFailed):
                self._end(order.mark, 0, root)
            raise StepFailed(
                f"{self.name}: {what} did not end within {timeout_s:g} s", hint="is the network slow? try again"
            ) from None
        return Result(
            done.code,
            done.out.decode("utf-8", "replace"),
            done.err.decode("utf-8", "replace").replace(order.mark, "sh"),
        )

    def _begin(self, order: Script, root: bool) -> paramiko.Channel:
        prefix, password = self._root.before(self._connection) if root else ("", b"")
        channel = begin(self._connection, prefix + order.command)
        try:
            channel.sendall(password + order.head)
        except (OSError, EOFError, paramiko.SSHException) as error:
            channel.close()
            raise Dropped(str(error)) from error
        return channel

    def _end(self, mark: str, patience: int, root: bool) -> None:
        """Waits for what runs under `mark`, `patience` times half a second, and then ends it."""
        self._once(
            Script(_END, (mark, str(patience)), root=root, staged=0),
            lambda send: None,
            root,
            90,
            "ending what was begun",
        )

    def _reconnect(self, used: Connection) -> None:
        """A new connection, unless another thread has made one in place of `used`. Raises `Dropped`."""
        with self._guard:
            if self._connection is not used and self._connection.alive:
                return
            self._connection.close()
            try:
                self._connection = connect(used.route, keyring=used.keyring)
            except NotReady as error:
                raise Dropped(error.message) from error
        self._keep_holds()

    def _keep_holds(self) -> None:
        with self._guard:
            for hold in self._holds:
                if not hold.held:
                    try:
                        hold.take()
                    except Locked as error:
                        raise StepFailed(
                            f"{self.name}: the lock was lost with the connection. {error.message}", hint=error.hint
                        ) from error

    def _lost(self, what: str, error: Dropped) -> ConnectionLost:
        return ConnectionLost(
            f"{self.name}: the connection was lost during {what}: {error}",
            hint="it may have been done or not; once the host can be reached, run the same command again",
        )

    def _failure(self, done: Result, what: str) -> StepFailed:
        said = [line for line in (done.out + "\n" + done.err).splitlines() if line.strip()]
        log = tuple(said[-_LOG_LINES:])
        if any(words in done.err for words in _DISK_FULL):
            return StepFailed(
                f"{self.name}: its disk is full ({what})",
                hint=f"`ssh {self.name} df -h` shows which; free some space, then run it again",
                log=log,
            )
        if "Read-only file system" in done.err:
            return StepFailed(
                f"{self.name}: its disk cannot be written to ({what})", hint="`dmesg` there says why", log=log
            )
        if done.code == KILLED:
            return StepFailed(
                f"{self.name}: {what} was killed", hint="out of memory? `journalctl -k` there says so", log=log
            )
        return StepFailed(f"{self.name}: {what} failed with exit code {done.code}", log=log)


def _tail(channel: paramiko.Channel, into: bytearray) -> None:
    while chunk := channel.recv_stderr(65536):
        into += chunk
        del into[:-65536]
