"""Asks fronts over their unix sockets, on a target, with nothing but the standard library.

    ask.py call METHOD PATH SOCKET WAIT_S UNIT < body      one request, repeated for WAIT_S until it answers 200
    ask.py fronts FOLDER                                   every front at FOLDER/<bot>/<release>/front.sock

`call` prints {"status", "body"}; status 0 is no answer. It waits no longer where that cannot help: a refusal, a bot
that failed, or a UNIT of systemd that had to be started again. `fronts` prints a line for each: {"bot", "release",
"ready", "status"}, the last two as the front says them.
"""

import http.client
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


class Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("front", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(method: str, path: str, unix: str, body: bytes = b"", timeout_s: float = 15) -> tuple[int, str]:
    connection = Connection(unix, timeout_s)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{type(error).__name__}: {error}"
    finally:
        connection.close()


def call(method: str, path: str, unix: str, wait_s: float, unit: str, body: bytes) -> None:
    until = time.monotonic() + wait_s
    looked = time.monotonic()
    while True:
        status, said = ask(method, path, unix, body)
        if 0 < status < 500 or object_in(said).get("reason") == "failed" or time.monotonic() >= until:
            break
        if unit and not status and time.monotonic() > looked + 0.5:
            looked = time.monotonic()
            if _restarts(unit):
                break
        time.sleep(0.05)
    sys.stdout.write(json.dumps({"status": status, "body": said}) + "\n")


def _restarts(unit: str) -> bool:
    show = ["systemctl", "show", "--property=NRestarts,ActiveState", "--value", unit]
    said = subprocess.run(show, capture_output=True, text=True, check=False).stdout.split()
    return "failed" in said or any(word.isdigit() and int(word) > 0 for word in said)


def fronts(folder: str) -> None:
    for path in sorted(Path(folder).glob("*/*/front.sock")):
        status, said = ask("GET", "/status", str(path), timeout_s=3)
        if status == 200:
            _, ready = ask("GET", "/readyz", str(path), timeout_s=3)
            line = {
                "bot": path.parts[-3],
                "release": path.parts[-2],
                "ready": object_in(ready),
                "status": object_in(said),
            }
            sys.stdout.write(json.dumps(line) + "\n")


def object_in(text: str) -> dict[str, Any]:
    """What a front says; {} for anything else than a JSON object."""
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def main(argv: list[str]) -> None:
    if argv[0] == "fronts":
        fronts(argv[1])
    else:
        _, method, path, unix, wait_s, unit = argv
        call(method, path, unix, float(wait_s), unit, sys.stdin.buffer.read())


if __name__ == "__main__":
    main(sys.argv[1:])
