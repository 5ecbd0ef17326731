"""Three ways to bring a changed line to a host: ours, and two usual ones, all to one host of the lab.

The usual ones run Pipecat's own development runner, behind the same Caddy as ours. They are as quick as they are made:
one ssh connection, a shared uv cache, layers of the image that are still there. Docker keeps its files in memory.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from tests.lab.hosts import Host
from tests.lab.local import TALKER
from tests.lab.ssh import Desk
from voicedeploy.call import Callee

NAME = "talker"
REQUIREMENTS = "pipecat-ai[webrtc,websocket,runner]==1.14.0\n"
GREETING = '"hello I am a talker"'
CADDY_CA = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"
UV_ENVIRONMENT = "UV_CACHE_DIR=/opt/usual/cache UV_PYTHON=/usr/bin/python3 UV_SYSTEM_CERTS=1"


class Way(Protocol):
    name: str

    def prepare(self) -> None:
        """What is done once; afterwards the bot is up."""
        ...

    def deploy(self, greeting: str) -> None:
        """What is typed after a line of the bot was changed: what it greets with."""
        ...

    def callee(self) -> Callee: ...


def bot(greeting: str) -> str:
    text = TALKER.read_text()
    assert text.count(GREETING) == 1
    return text.replace(GREETING, f'"{greeting}"')


class Ours:
    name = "voicedeploy up"

    def __init__(self, host: Host, desk: Desk) -> None:
        self._host = host
        self._desk = desk

    def prepare(self) -> None:
        self._desk.write(NAME, slots=8, spec="[access]\nstarts_per_minute = 1000\n")
        (self._desk.root / "requirements.txt").write_text(REQUIREMENTS)
        self.deploy("the first")

    def write(self, greeting: str) -> None:
        (self._desk.root / "bot.py").write_text(bot(greeting))

    def deploy(self, greeting: str) -> None:
        self.write(greeting)
        up = self._desk.up(self._host)
        if up.code:
            raise RuntimeError(f"up failed: {up}")

    def callee(self) -> Callee:
        key = self._host.run(f"cat /opt/voicedeploy/bots/{NAME}/key").stdout.strip()
        return Callee.parse(f"https://{self._host.address}", key=key, ca=self._host.run(f"cat {CADDY_CA}").stdout)


class Usual:
    """Files in a folder on this machine that one ssh session brings to the host, where a script makes them live."""

    name: str
    script: str
    """Reads a tar from stdin; $1 is the folder of the release. Runs as root."""

    def __init__(self, host: Host, desk: Desk, root: Path, port: int) -> None:
        self._host = host
        self._desk = desk
        self._root = root
        self._port = port
        self._count = 0
        root.mkdir()

    def prepare(self) -> None:
        host, behind = self._host, self._port + 1000
        host.run("DEBIAN_FRONTEND=noninteractive apt-get -qq install -y caddy", timeout=120)
        text = f"http://:{self._port} {{\n\treverse_proxy 127.0.0.1:{behind}\n}}\n"
        (host.folder / "root" / "etc" / "caddy" / "Caddyfile").open("a").write(text)
        host.run("systemctl reload caddy; mkdir -p /opt/usual")
        shutil.copy(shutil.which("uv") or _uv(), host.folder / "root" / "opt" / "usual" / "uv")
        (self._root / "requirements.txt").write_text(REQUIREMENTS)
        self.furnish(behind)
        self.deploy("the first")

    def furnish(self, port: int) -> None:
        """Whatever else the way needs on the host, for a bot that listens to `port` there."""
        raise NotImplementedError

    def deploy(self, greeting: str) -> None:
        (self._root / "bot.py").write_text(bot(greeting))
        self._count += 1
        folder = f"/opt/usual/{type(self).__name__.lower()}/{self._count}"
        packed = subprocess.run(["tar", "-C", str(self._root), "-cz", "."], stdout=subprocess.PIPE, check=True).stdout
        command = f"sudo bash -euc '{self.script}' - {folder}"
        done = subprocess.run(
            ["ssh", self._host.name, command],
            env=self._desk.environment,
            input=packed,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout.decode()}{done.stderr.decode()}")

    def callee(self) -> Callee:
        return Callee.parse(f"http://{self._host.address}:{self._port}")


class Restart(Usual):
    name = "release folder, restart"
    script = f"""
mkdir -p $1; tar -xzC $1; cd $1
export {UV_ENVIRONMENT}
/opt/usual/uv -q venv
/opt/usual/uv -q pip sync --python .venv/bin/python ../lock
ln -sfn $1 ../current
systemctl restart usual"""

    def furnish(self, port: int) -> None:
        unit = f"""[Service]
WorkingDirectory=/opt/usual/restart/current
ExecStart=/opt/usual/restart/current/.venv/bin/python bot.py -t webrtc --host 127.0.0.1 --port {port}
[Install]
WantedBy=multi-user.target
"""
        (self._host.folder / "root" / "etc" / "systemd" / "system" / "usual.service").write_text(unit)
        lock = "/opt/usual/uv pip compile -q --python /usr/bin/python3 -o /opt/usual/restart/lock -"
        self._host.run(
            f"mkdir -p /opt/usual/restart; export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt {UV_ENVIRONMENT};"
            f" echo '{REQUIREMENTS.strip()}' | {lock}; systemctl daemon-reload",
            timeout=200,
        )


class Container(Usual):
    name = "image build, container swap"
    script = """
mkdir -p $1; tar -xzC $1; cd $1
docker build -q --network host -t usual . >/dev/null
docker stop usual >/dev/null 2>&1 && docker rm usual >/dev/null || true
docker run -d --name usual --restart unless-stopped --network host usual >/dev/null"""

    def furnish(self, port: int) -> None:
        # An overlay on the lab's own overlay is refused by the kernel.
        self._host.run("mkdir -p /var/lib/docker && mount -t tmpfs -o size=6G tmpfs /var/lib/docker")
        install = "apt-get -qq install -y --no-install-recommends docker.io iptables"
        self._host.run(f"DEBIAN_FRONTEND=noninteractive {install}", timeout=200)
        without = " ".join(
            f"--exclude=./{name}" for name in ("var/lib/docker", "var/cache", "opt", "proc", "sys", "run")
        )
        self._host.run(f"tar -C / --one-file-system {without} -c . | docker import - base", timeout=200)
        shutil.copy(self._host.folder / "root" / "opt" / "usual" / "uv", self._root / "uv")
        (self._root / "Dockerfile").write_text(f"""FROM base
ENV UV_SYSTEM_CERTS=1 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
COPY uv /usr/local/bin/uv
WORKDIR /app
COPY requirements.txt .
RUN uv -q venv && uv -q pip install --compile-bytecode -r requirements.txt
COPY bot.py .
CMD [".venv/bin/python", "bot.py", "-t", "webrtc", "--host", "127.0.0.1", "--port", "{port}"]
""")


def _uv() -> str:
    import uv

    return uv.find_uv_bin()
