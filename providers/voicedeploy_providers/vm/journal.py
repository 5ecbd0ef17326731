"""The log of a bot on a host: JSON lines that its fronts wrote, kept by journald."""

from collections.abc import Iterator

from voicedeploy_providers.vm.ssh import Shell

_READ = """\
bot=$1 lines=$2 session=$3 follow=$4
set -- --quiet --no-pager --output=cat "--unit=voicedeploy-$bot@*.service"
only() { if [ -n "$session" ]; then grep --line-buffered -F "\\"session\\": \\"$session"; else cat; fi; }
if [ -n "$session" ]; then journalctl "$@" | only | tail -n "$lines"; else journalctl "$@" --lines="$lines"; fi
[ "$follow" = yes ] || exit 0
journalctl "$@" --lines=0 --follow | only
"""


def read(shell: Shell, bot: str, *, follow: bool, lines: int, session: str) -> Iterator[str]:
    """The last `lines` lines, of one `session` if it is named, and then new ones as they come."""
    return shell.stream(_READ, args=(bot, str(lines), session, "yes" if follow else "no"))
