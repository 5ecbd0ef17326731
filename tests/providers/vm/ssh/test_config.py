"""What `ssh -G` says about a host, as a value."""

import os
import pwd
from pathlib import Path

import pytest
from voicedeploy_providers.vm.ssh import route

from voicedeploy.errors import NotReady, UsageError

HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "included").write_text("Host homelab\n  HostName 192.0.2.7\n  Port 2222\n")
    path = tmp_path / "config"
    path.write_text(
        f"""\
Include {tmp_path}/included
Match host 192.0.2.7 exec "test -n hello"
  User anna
Host homelab
  IdentityFile ~/.ssh/%h-%r
  IdentityFile {tmp_path}/with-%%
  IdentitiesOnly yes
  UserKnownHostsFile {tmp_path}/a {tmp_path}/b
  HostKeyAlias my-vm
  StrictHostKeyChecking accept-new
  ConnectTimeout 4
Host inside
  ProxyJump anna@first:2201,second,ssh://third:2203
Host first
  HostName first.example
  ProxyJump zeroth
Host second
  User bob
  ProxyJump elsewhere
  ProxyCommand nobody reads this
Host command
  ProxyCommand /bin/nc --name %n '%h' %p %r %%
Host none
  ProxyJump none
  ProxyCommand none
  IdentityAgent none
  UserKnownHostsFile none
Host agent
  IdentityAgent ~/agents/%r
Host loop
  ProxyJump pool
Host pool
  ProxyJump loop
"""
    )
    return path


def test_an_alias_with_include_and_match(config: Path, tmp_path: Path) -> None:
    found = route("homelab", config=config)
    assert (found.host, found.port, found.user) == ("192.0.2.7", 2222, "anna")
    assert found.identities == (HOME / ".ssh/192.0.2.7-anna", tmp_path / "with-%")
    assert found.identities_only
    assert found.known_hosts == (tmp_path / "a", tmp_path / "b")
    assert (found.known_as, found.accept_new, found.connect_timeout_s) == ("my-vm", True, 4.0)
    assert (found.name, found.at, found.note) == ("homelab", "192.0.2.7:2222", "")


def test_jumps_in_the_order_of_the_way(config: Path) -> None:
    found = route("inside", config=config)
    assert [(j.user, j.host, j.port) for j in found.jumps] == [
        (found.user, "zeroth", 22),
        ("anna", "first.example", 2201),
        ("bob", "second", 22),
        (found.user, "third", 2203),
    ]
    assert {j.jumps for j in found.jumps} == {()}
    assert {j.proxy_command for j in found.jumps} == {""}
    assert [j.name for j in found.jumps] == ["zeroth", "ssh://anna@first:2201", "second", "ssh://third:2203"]


def test_a_proxy_command_is_filled_in(config: Path) -> None:
    assert route("bob@command", config=config).proxy_command == "/bin/nc --name command 'command' 22 bob %"


def test_none_means_none(config: Path) -> None:
    found = route("none", config=config)
    assert (found.jumps, found.proxy_command, found.agent, found.known_hosts) == ((), "", "", ())


def test_agents(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    assert route("other", config=config).agent == "/run/agent"
    assert route("anna@agent", config=config).agent == str(HOME / "agents/anna")


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("host.example", None, "host.example", 22),
        ("anna@host", "anna", "host", 22),
        ("anna@work@host", "anna@work", "host", 22),
        ("ssh://host", None, "host", 22),
        ("ssh://anna@host:2222", "anna", "host", 2222),
        ("ssh://anna@[2001:db8::1]:2222/", "anna", "2001:db8::1", 2222),
        ("[2001:db8::1]", None, "2001:db8::1", 22),
        ("anna@[::1]", "anna", "::1", 22),
        ("2001:db8::1", None, "2001:db8::1", 22),
        ("fe80::1%eth0", None, "fe80::1%eth0", 22),
    ],
)
def test_ways_to_write_a_host(text: str, user: str | None, host: str, port: int, config: Path) -> None:
    found = route(text, config=config)
    assert (found.host, found.port) == (host, port)
    assert found.user == (user or pwd.getpwuid(os.getuid()).pw_name)


@pytest.mark.parametrize(
    "text",
    ["", "-oProxyCommand=id", "anna@-x", "ssh://-x", "a b", "a;id", "$(id)", "a\nb", "ssh://a:99999", "a/b", "x@"],
)
def test_what_no_host_is_called(text: str, config: Path) -> None:
    with pytest.raises(UsageError):
        route(text, config=config)


def test_a_port_behind_a_name(config: Path) -> None:
    with pytest.raises(UsageError, match="ssh takes a port like this: ssh://anna@host:2222"):
        route("anna@host:2222", config=config)


def test_a_loop_of_jumps(config: Path) -> None:
    with pytest.raises(NotReady, match="more than 8 jumps"):
        route("loop", config=config)


def test_a_broken_configuration(config: Path) -> None:
    config.write_text("Host x\n  Nonsense yes\n")
    with pytest.raises(NotReady, match=r"x: ssh says: .*terminating, 1 bad configuration options"):
        route("x", config=config)


def test_without_the_ssh_program(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    config.write_text(
        f"Include {tmp_path}/included\nHost homelab\n  HostName 192.0.2.9\n  User anna\n  ProxyJump b@j:2\n"
    )
    found = route("homelab", config=config)
    assert (found.host, found.port, found.user) == ("192.0.2.9", 22, "anna")
    assert [(j.user, j.host, j.port) for j in found.jumps] == [("b", "j", 2)]
    assert found.note == f"there is no `ssh` program here, so the Include lines of {config} are not read"
    assert route("ssh://bob@homelab:99", config=config).port == 99
    assert found.known_hosts == (HOME / ".ssh/known_hosts",)
