"""A host as a target: the actions of a plan, carried out over SSH as root."""

import json
import shlex
import time

from voicedeploy import environment, front
from voicedeploy.errors import StepFailed
from voicedeploy.plan import Action, Call, Command, Prove, Publish, Question, Remove, Start, Stop, Upload, Write
from voicedeploy_providers.vm import places
from voicedeploy_providers.vm.ssh import Shell

_LOG_LINES = 15

_COMMAND = """\
cd "$1" || exit
shift
exec env "$@"
"""

_STOP = """\
systemctl stop --no-block "$1"
end=$(($(date +%s) + $2))
while systemctl is-active --quiet "$1" || [ "$(systemctl is-active "$1")" = deactivating ]; do
  if [ "$(date +%s)" -ge "$end" ]; then
    kill -TERM "$(systemctl show --property=MainPID --value "$1")" 2>/dev/null
    sleep 5
    systemctl kill --signal=KILL "$1" 2>/dev/null
    sleep 0.5
    break
  fi
  sleep 0.1
done
systemctl disable --quiet "$1" 2>/dev/null
systemctl reset-failed "$1" 2>/dev/null
exit 0
"""


class Machine:
    """`engine` is what asks fronts over there. `audit` gets a line for each change."""

    def __init__(self, shell: Shell, engine: str) -> None:
        self._shell = shell
        self._engine = engine
        self.audit: list[str] = []

    def ask(self, question: Question) -> str:
        return self._call(question) if isinstance(question, Call) else self._command(question)

    def perform(self, action: Action) -> str:
        note = ""
        match action:
            case Command():
                note = environment.packages(self._command(action))
            case Call():
                self._call(action)
            case Write(path=path, content=content, mode=mode):
                self._shell.put(path, content, mode)
            case Upload(root=root, files=files, to=to):
                self._shell.put_tree(root, files, to)
            case Remove(paths=paths):
                self._shell.run('rm -rf -- "$@"', args=paths, what="removing files")
            case Stop(pid_file=unit, grace_s=grace_s):
                args = (unit, str(round(grace_s)))
                self._shell.run(_STOP, args=args, timeout_s=grace_s + 60, what=f"ending {unit}")
            case Start() | Prove() | Publish():
                raise TypeError(f"{type(action).__name__} is not for a host: systemd starts, the engine calls")
        self.audit.append(_told(action))
        return note

    def _command(self, command: Command) -> str:
        given = tuple(f"{name}={value}" for name, value in command.env.items())
        done = self._shell.run(
            _COMMAND,
            args=(command.cwd or "/", *given, *command.argv),
            stdin=command.stdin,
            timeout_s=command.timeout_s,
            check=False,
            what=_name(command),
        )
        said = done.err + done.out
        if done.code:
            lines = tuple(line for line in said.splitlines() if line.strip())
            raise StepFailed(
                f"`{_name(command)}` failed with exit code {done.code}",
                hint=environment.hint(said),
                log=lines[-_LOG_LINES:],
            )
        return done.out + done.err

    def _call(self, call: Call) -> str:
        body = json.dumps(call.body).encode() if call.body is not None else b""
        path = "/" + call.url.split("/", 3)[3]
        done = self._shell.run(
            'exec "$1/.venv/bin/python" -I "$1/voicedeploy/ask.py" call "$2" "$3" "$4" "$5" "$6"',
            args=(places.engine(self._engine), call.method, path, call.socket, f"{call.wait_s:g}", call.log),
            stdin=body,
            timeout_s=call.wait_s + 60,
            what=f"asking the front {path}",
        )
        answer = json.loads(done.out)
        status, text = int(answer["status"]), str(answer["body"])
        if status == 200:
            return text
        if status:
            failure = front.refusal(call, status, text)
        else:
            failure = StepFailed(f"the front does not answer: {text}", hint="`voicedeploy logs` has what it said last")
        raise StepFailed(failure.message, hint=failure.hint, log=failure.log or self._journal(call.log))

    def _journal(self, unit: str) -> tuple[str, ...]:
        if not unit:
            return ()
        said = self._shell.run('journalctl --quiet --no-pager --output=cat --lines="$1" --unit="$2"',
                               args=(str(_LOG_LINES), unit), check=False)  # fmt: skip
        return tuple(said.out.splitlines())


def _name(command: Command) -> str:
    """How a command is called in messages: a script by what it is given."""
    parts = [part for part in command.argv if "\n" not in part and " && " not in part]
    if parts[:3] == ["sh", "-c", "sh"]:
        parts = ["sh", *parts[3:]]
    return " ".join(shlex.quote(part.rpartition("/")[2] if n == 0 else part) for n, part in enumerate(parts[:4]))


def _told(action: Action) -> str:
    """One line for the audit, without what may be secret."""
    match action:
        case Command(argv=argv):
            what = " ".join("…" if "\n" in part else part for part in argv)
        case Write(path=path):
            what = path
        case Upload(to=to):
            what = to
        case Remove(paths=paths):
            what = " ".join(paths)
        case Call(method=method, url=url, socket=socket):
            what = f"{method} {url} {socket}"
        case Stop(pid_file=unit):
            what = unit
        case _:
            what = ""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return json.dumps({"at": stamp, "did": type(action).__name__.lower(), "what": what})
