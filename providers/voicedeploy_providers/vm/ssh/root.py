"""How the login user becomes root."""

from voicedeploy.errors import NotReady
from voicedeploy_providers.vm.ssh import terminal
from voicedeploy_providers.vm.ssh.channel import execute
from voicedeploy_providers.vm.ssh.connection import Connection

_TRIES = 3
_PROBE_S = 30.0
_ROOT, _FREE, _NO_SUDO, _ELSE = 20, 21, 22, 23
_PROBE = (
    f"""sh -c 'test "$(id -u)" = 0 && exit {_ROOT}; command -v sudo >/dev/null || exit {_NO_SUDO};"""
    f""" env LC_ALL=C sudo -n true && exit {_FREE}; exit {_ELSE}'"""
)
# -k: the password is read each time, whatever sudo remembers; so it never ends up as input of the script.
_WITH_PASSWORD = "env LC_ALL=C sudo -k -S -p '' --"  # noqa: S105
_NO_PASSWORD = "env LC_ALL=C sudo -n --"  # noqa: S105


class Root:
    """Root on one host, for the login user of a connection. A password stays in memory, and out of sight."""

    def __init__(self) -> None:
        self._prefix: str | None = None
        self._password = b""

    def __repr__(self) -> str:
        return f"Root({self._prefix!r})"

    def before(self, connection: Connection) -> tuple[str, bytes]:
        """What goes before a command, and before its input. Raises `NotReady`, and `Dropped` as any command does."""
        if self._prefix is None:
            self._prefix = self._find(connection)
        return self._prefix, self._password

    def _find(self, connection: Connection) -> str:
        probe = execute(connection, _PROBE, lambda send: None, _PROBE_S)
        if probe.code == _ROOT:
            return ""
        if probe.code == _FREE:
            return f"{_NO_PASSWORD} "
        if probe.code == _NO_SUDO:
            raise _no_sudo(connection)
        said = probe.err.decode("utf-8", "replace")
        if "password is required" in said or "a terminal is required" in said or "no tty present" in said:
            self._ask(connection)
            return f"{_WITH_PASSWORD} "
        raise _no_root(connection, said)

    def _ask(self, connection: Connection) -> None:
        route = connection.route
        if route.batch or not terminal.there_is_one():
            raise NotReady(
                f"{route.name}: sudo wants the password of `{route.user}`, and there is no terminal to ask for it",
                hint="run it in a terminal, or let the user become root without one: as root on the host,"
                f" `echo '{route.user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{route.user}`",
            )
        for _ in range(_TRIES):
            password = terminal.ask(f"sudo password of {route.user} on {route.name}: ").encode() + b"\n"
            if password == b"\n":
                break
            tried = execute(connection, f"{_WITH_PASSWORD} true", lambda send, p=password: send(p), _PROBE_S)  # type: ignore[misc]
            if tried.code == 0:
                self._password = password
                return
            said = tried.err.decode("utf-8", "replace")
            if "password" not in said and "try again" not in said:
                raise _no_root(connection, said)
        raise NotReady(
            f"{route.name}: sudo does not take the password of `{route.user}`",
            hint="it is the one of the host's account",
        )


def _no_sudo(connection: Connection) -> NotReady:
    route = connection.route
    return NotReady(
        f"{route.name}: user `{route.user}` is not root, and there is no sudo",
        hint="log in as root (`User root` in ~/.ssh/config), or install sudo there and add"
        f" `{route.user}` to its group",
    )


def _no_root(connection: Connection, said: str) -> NotReady:
    route = connection.route
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return NotReady(
        f"{route.name}: user `{route.user}` may not become root: {lines[-1] if lines else 'sudo says nothing'}",
        hint=f"as root on the host: `usermod -aG sudo {route.user}`; it counts from the next login on",
    )
