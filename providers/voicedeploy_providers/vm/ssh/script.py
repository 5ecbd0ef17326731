"""A script on its way to a host.

The command line holds neither the script nor its arguments nor its input: all of it comes by stdin, where no `ps` sees
it, and no login shell (fish, csh) gets to quote it. What is cut off on the way does not run.
"""

import secrets
import shlex
from collections.abc import Sequence

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Reads away what sudo left of its password, up to the mark, and then exactly the script.
_RECEIVE = """sh -c 'l=; until [ "$l" = "$0" ]; do IFS= read -r l || exit 75; done; l=; eval "$(head -c "$1")"'"""
# The input is there as a whole before the script starts: half of it could not be told from all of it.
_STAGE = """\
l=$(umask 077; mktemp "{folder}/voicedeploy.XXXXXX") || exit
cat >"$l" || {{ rm -f -- "$l"; exit 74; }}
[ "$(wc -c <"$l")" -eq {size} ] || {{ rm -f -- "$l"; exit 75; }}
exec <"$l"
rm -f -- "$l"
"""


class Script:
    """`mark` names this run: it is `$0` of the shell, and so in the host's list of processes."""

    def __init__(self, text: str, args: Sequence[str], *, root: bool, staged: int | None) -> None:
        """`staged` is the size in bytes of an input that has to be there as a whole; None: it is read as it comes."""
        self.mark = f"voicedeploy-{secrets.token_hex(6)}"
        stage = ""
        if staged is not None:
            folder = "/run" if root else "${XDG_RUNTIME_DIR:-/tmp}"
            stage = _STAGE.format(folder=folder, size=staged) if staged else "exec </dev/null\n"
        path = f"cd /\nPATH={_PATH}; export PATH\n" if root else ""
        words = " ".join(shlex.quote(a) for a in args)
        # Braces: a shell runs nothing of a group before it has seen the end of it.
        body = f"{{\numask 022\nLC_ALL=C.UTF-8; export LC_ALL\n{path}{stage}unset l\nset -- {words}\n{text}\n}}\n"
        self._body = body.encode("utf-8", "surrogateescape")

    @property
    def command(self) -> str:
        return f"{_RECEIVE} {self.mark} {len(self._body)}"

    @property
    def head(self) -> bytes:
        """What goes before the script's own input."""
        return f"{self.mark}\n".encode() + self._body
