"""Ways to a real sshd, and what is said where there is none."""

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from voicedeploy_providers.vm.ssh import Connection, Shell, connect, route

from tests.providers.vm.ssh.conftest import Lab, Sshd, free_port, keygen
from voicedeploy.errors import NotReady


def refused(lab: Lab, name: str = "homelab") -> NotReady:
    with pytest.raises(NotReady) as caught:
        connect(route(name, config=lab.config)).close()
    assert caught.value.exit_code == 3
    return caught.value


def test_an_alias(lab: Lab, host: Sshd) -> None:
    with connect(route("homelab", config=lab.config)) as connection:
        assert isinstance(connection, Connection)
        assert connection.alive
    assert not connection.alive


def test_through_two_jumps(lab: Lab) -> None:
    lab.alias("one", lab.sshd())
    lab.alias("two", lab.sshd(), "ProxyJump one")
    lab.alias("homelab", lab.sshd(), "ProxyJump two")
    assert lab.shell("homelab").run("echo inside").out == "inside\n"
    assert [len(s.connections()) for s in lab.servers] == [1, 1, 1]


def test_through_a_proxy_command(lab: Lab) -> None:
    code = "import socket,sys,threading as t,os;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));t.Thread(target=lambda:[s.sendall(d) for d in iter(lambda:os.read(0,9999),b'')],daemon=True).start();[os.write(1,d) for d in iter(lambda:s.recv(9999),b'')]"  # noqa: E501
    (lab.folder / "proxy.py").write_text(code.replace(";", "\n"))
    lab.alias("homelab", lab.sshd(), f"ProxyCommand {sys.executable} {lab.folder}/proxy.py %h %p")
    assert lab.shell("homelab").run("echo inside").out == "inside\n"


def test_a_proxy_command_that_fails(lab: Lab) -> None:
    lab.alias("homelab", lab.sshd(), "ProxyCommand echo 'no tunnel today' >&2; exit 1")
    assert refused(lab).message == "homelab: the ProxyCommand does not lead to it: no tunnel today"


def test_a_jump_that_cannot_reach_the_host(lab: Lab) -> None:
    lab.alias("one", lab.sshd())
    gone = lab.sshd()
    gone.stop()
    lab.alias("homelab", gone, "ProxyJump one")
    assert refused(lab).message == f"homelab: the jump host cannot reach {gone.address}:{gone.port}"
    lab.servers.remove(gone)


def test_a_jump_that_forwards_nothing(lab: Lab) -> None:
    lab.alias("one", lab.sshd("AllowTcpForwarding no"))
    lab.alias("homelab", lab.sshd(), "ProxyJump one")
    assert refused(lab).message == "homelab: the jump host does not pass connections on"


def test_ipv6(lab: Lab) -> None:
    try:
        free_port("::1")
    except OSError:
        pytest.skip("this machine has no ::1")
    lab.alias("homelab", lab.sshd(address="::1"))
    assert lab.shell("homelab").run("echo six").out == "six\n"


def test_hashed_known_hosts(lab: Lab, host: Sshd) -> None:
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(lab.known_hosts)], check=True, capture_output=True)
    assert lab.known_hosts.read_text().startswith("|1|")
    connect(route("homelab", config=lab.config)).close()


@pytest.mark.parametrize("names", ["my-vm", "*.example,my-?m", "MY-VM", "other,my-vm"])
def test_a_host_key_alias(lab: Lab, names: str) -> None:
    server = lab.sshd(known=False)
    lab.alias("homelab", server, "HostKeyAlias my-vm")
    lab.known_hosts.write_text(f"# comment\n@cert-authority * {server.host_key}\n{names} {server.host_key} comment\n")
    connect(route("homelab", config=lab.config)).close()


@pytest.mark.parametrize(
    "line", ["", "*,!my-vm {key}", "@cert-authority * {key}", "my-vm-2 {key}", "my-vm ssh-ed25519"]
)
def test_an_unknown_host_key(lab: Lab, line: str) -> None:
    server = lab.sshd(known=False)
    lab.alias("homelab", server, "HostKeyAlias my-vm")
    lab.known_hosts.write_text(line.format(key=server.host_key) + "\n")
    error = refused(lab)
    assert error.message.startswith(f"homelab: unknown host key: ssh-ed25519 {server.fingerprint} (127.0.0.1:")
    assert error.hint.startswith("`ssh homelab true` shows and accepts it")


def test_a_key_that_is_known_at_port_22_is_known(lab: Lab) -> None:
    server = lab.sshd(known=False)
    lab.alias("homelab", server)
    lab.known_hosts.write_text(f"127.0.0.1 {server.host_key}\n")
    connect(route("homelab", config=lab.config)).close()
    other = keygen(lab.folder / "other").with_suffix(".pub").read_text()
    lab.known_hosts.write_text(f"127.0.0.1 {other}\n")
    assert "unknown host key" in refused(lab).message


@pytest.mark.parametrize("checking", ["ask", "accept-new", "no"])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_changed_host_key_is_never_taken(lab: Lab, checking: str, kind: str) -> None:
    server = lab.sshd(known=False)
    lab.alias("homelab", server, f"StrictHostKeyChecking {checking}")
    other = " ".join(keygen(lab.folder / "other", kind).with_suffix(".pub").read_text().split()[:2])
    lab.known_hosts.write_text(f"\n[127.0.0.1]:{server.port} {other}\n")
    before = lab.known_hosts.read_text()
    error = refused(lab)
    assert error.message.startswith("homelab: THE HOST KEY HAS CHANGED.")
    assert error.message.count("SHA256:") == 2
    assert server.fingerprint in error.message
    assert f"{lab.known_hosts}:2" in error.message
    assert error.hint.index("find out why") < error.hint.index(
        f"`ssh-keygen -R '[127.0.0.1]:{server.port}' -f {lab.known_hosts}`"
    )
    assert lab.known_hosts.read_text() == before


def test_of_several_host_keys_the_known_one_is_asked_for(lab: Lab) -> None:
    rsa = keygen(lab.folder / "host-rsa", "rsa")
    server = lab.sshd(f"HostKey {rsa}", known=False)
    lab.alias("homelab", server)
    lab.known_hosts.write_text(f"[127.0.0.1]:{server.port} {rsa.with_suffix('.pub').read_text()}")
    connect(route("homelab", config=lab.config)).close()


def test_a_revoked_host_key(lab: Lab, host: Sshd) -> None:
    with lab.known_hosts.open("a") as file:
        file.write(f"@revoked * {host.host_key}\n")
    assert "is marked as revoked" in refused(lab).message


@pytest.mark.parametrize("checking", ["accept-new", "no"])
@pytest.mark.parametrize("hashed", ["yes", "no"])
def test_a_new_host_key_is_taken_where_the_user_said_so(lab: Lab, checking: str, hashed: str) -> None:
    server = lab.sshd(known=False)
    lab.alias("homelab", server, f"StrictHostKeyChecking {checking}", f"HashKnownHosts {hashed}")
    lab.known_hosts.write_text("# no end of the line")
    connect(route("homelab", config=lab.config)).close()
    text = lab.known_hosts.read_text()
    assert text.startswith("# no end of the line\n")
    assert (server.known() in text) == (hashed == "no")
    found = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{server.port}", "-f", str(lab.known_hosts)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert server.host_key in found.stdout
    connect(route("homelab", config=lab.config)).close()
    assert lab.known_hosts.read_text() == text


def test_a_key_that_the_host_does_not_know(lab: Lab, host: Sshd) -> None:
    wrong = keygen(lab.folder / "wrong")
    locked = keygen(lab.folder / "locked", passphrase="secret")  # noqa: S106
    (lab.folder / "nonsense").write_text("nonsense")
    lab.key = wrong
    lab.alias("other", host, f"IdentityFile {locked}", f"IdentityFile {lab.folder}/nonsense")
    error = refused(lab, "other")
    assert error.message.startswith("other: takes none of the keys for user `root`. Tried:\n")
    tried = error.message.splitlines()[1:]
    assert any(line.startswith(f"  {locked}: has a passphrase, and there is no terminal") for line in tried)
    assert any(line.startswith(f"  {lab.folder}/nonsense: cannot be used") for line in tried)
    assert f"  {wrong}" in tried
    assert f"-p {host.port} root@127.0.0.1` puts yours there" in error.hint
    assert "`ssh -v other`" in error.hint


def test_no_key_at_all(lab: Lab, host: Sshd) -> None:
    lab.key = lab.folder / "missing"
    lab.alias("other", host)
    assert refused(lab, "other").message.endswith("no key at all: no agent, and none of the identity files")


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_passphrase_is_asked_for_once(lab: Lab, host: Sshd, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["wrong", "secret"]
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return answers.pop(0)

    monkeypatch.setattr("voicedeploy_providers.vm.ssh.terminal.there_is_one", lambda: True)
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.terminal.ask", ask)
    lab.key = keygen(lab.folder / "locked", kind, passphrase="secret")  # noqa: S106
    lab.alias("other", lab.sshd("AuthorizedKeysFile " + str(lab.folder / "locked.pub")))
    shell = lab.shell("other")
    assert shell.run("echo one").out == "one\n"
    lab.servers[-1].cut()
    assert shell.run("echo two").out == "two\n"
    assert asked == [f"passphrase of {lab.key}: "] * 2


@pytest.fixture
def agent(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    assert shutil.which("ssh-agent"), "this test needs ssh-agent: apt-get install openssh-client"
    path = lab.folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield path
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_the_agent(lab: Lab, host: Sshd, agent: Path, kind: str) -> None:
    key = keygen(lab.folder / "in-agent", kind)
    for i in range(7):
        subprocess.run(["ssh-add", "-q", str(keygen(lab.folder / f"other{i}"))], check=True)
    subprocess.run(["ssh-add", "-q", str(key)], check=True)
    key.unlink()
    server = lab.sshd("AuthorizedKeysFile " + str(lab.folder / "in-agent.pub"))
    lab.key = key
    with lab.config.open("a") as file:
        file.write(f"Host other third\n  IdentityAgent {agent}\n")
    lab.alias("other", server)
    assert lab.shell("other").run("echo agent").out == "agent\n"
    lab.key = lab.folder / "missing"
    lab.alias("third", server)
    error = refused(lab, "third")
    assert error.message.startswith("third: hung up on user `root` after these keys:\n  agent: other0\n")
    assert "IdentitiesOnly yes" in error.hint


def test_nothing_listens(lab: Lab, host: Sshd) -> None:
    host.stop()
    try:
        error = refused(lab)
        assert error.message == f"homelab: nothing listens at 127.0.0.1:{host.port}"
        assert "is sshd running there" in error.hint
    finally:
        host.start()


def test_a_name_without_an_address(lab: Lab, host: Sshd) -> None:
    host.address = "no-such-host.invalid"
    lab.alias("other", host)
    error = refused(lab, "other")
    assert error.message == "other: no address is known for the name no-such-host.invalid"
    assert "`HostName` in ~/.ssh/config" in error.hint


def test_a_host_that_is_off(lab: Lab, host: Sshd) -> None:
    """A listener whose queue is full answers as little as a machine that is off."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        port = silent.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        host.port = port
        lab.alias("other", host, "ConnectTimeout 1")
        error = refused(lab, "other")
        for each in waiting:
            each.close()
    assert error.message == f"other: 127.0.0.1:{port} does not answer"
    assert "is the machine on" in error.hint


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_something_else_listens(lab: Lab, host: Sshd, greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            sock, _ = server.accept()
            with sock:
                sock.sendall(greeting)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1000):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        host.port = server.getsockname()[1]
        lab.alias("other", host)
        assert "hung up before any SSH was spoken" in refused(lab, "other").message
        thread.join()


def test_nothing_is_printed_in_between(lab: Lab, host: Sshd, capfd: pytest.CaptureFixture[str]) -> None:
    shell = lab.shell("homelab")
    host.cut()
    assert shell.run("echo on").out == "on\n"
    with pytest.raises(NotReady):
        lab.known_hosts.unlink()
        Shell(connect(route("homelab", config=lab.config)))
    assert capfd.readouterr() == ("", "")


def test_a_silent_host_is_given_up(lab: Lab, host: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.connection.KEEPALIVE_S", 0.2)
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.connection.SILENT_S", 1.0)
    monkeypatch.setattr("voicedeploy_providers.vm.ssh.shell._PAUSES_S", (0.1,))
    shell = lab.shell("homelab")
    assert shell.run("sleep 1.5; echo kept").out == "kept\n"
    [server] = host.connections()
    server.suspend()
    try:
        assert shell.run("echo on").out == "on\n"
    finally:
        server.resume()
