"""Every error names the file, the key and the remedy."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.serve.conftest import KEY, write_config
from voicedeploy.serve.config import ConfigError, load, read_key, read_secrets


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    config = load(write_config(folder, {"peers": ["old.sock"]}))
    assert config.bot.project == folder / "project"
    assert config.listen.socket == folder / "r1.sock"
    assert config.access.key_file == folder / "key"
    assert config.peers == [folder / "old.sock"]
    assert config.drain_timeout_s == config.session.max_duration_s


def test_an_interpreter_s_link_stays_a_link(folder: Path) -> None:
    # A virtual environment is found by where its interpreter's link lies.
    link = folder / "python"
    link.symlink_to("/bin/sh")
    assert load(write_config(folder, {"bot": {"python": str(link)}})).bot.python == link


def test_an_empty_string_is_none(folder: Path) -> None:
    config = load(write_config(folder, {"bot": {"env_file": ""}, "media": {"public_ip": ""}, "log": {"file": ""}}))
    assert (config.bot.env_file, config.media.public_ip, config.log.file) == (None, None, None)


def test_addresses_that_are_known_only_where_the_front_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_config(folder, {"media": {"public_ip_env": "MY_ADDRESS", "bind": "localhost"}})
    monkeypatch.setenv("MY_ADDRESS", "198.51.100.7")
    media = load(file).media
    assert (str(media.public_ip), media.bind) == ("198.51.100.7", "127.0.0.1")
    monkeypatch.setenv("MY_ADDRESS", "the v4")
    with pytest.raises(ConfigError, match=r"media.public_ip_env: MY_ADDRESS holds 'the v4', which is no address"):
        load(file)
    monkeypatch.delenv("MY_ADDRESS")
    with pytest.raises(ConfigError, match="MY_ADDRESS holds ''"):
        load(file)


def test_a_name_that_leads_nowhere(folder: Path) -> None:
    file = write_config(folder, {"media": {"bind": "no-such-name.invalid"}})
    with pytest.raises(ConfigError, match=r"media.bind: no-such-name.invalid leads nowhere here \("):
        load(file)


def test_a_range_of_ports(folder: Path) -> None:
    assert load(write_config(folder, {"media": {"udp_ports": "20000-20003"}})).media.udp_ports == (
        20000,
        20001,
        20002,
        20003,
    )


@pytest.mark.parametrize(
    ("tables", "message", "hint"),
    [
        ({"bot": {"entry": "gone.py"}}, "bot.entry: gone.py is not in", "async def bot"),
        ({"bot": {"project": "nowhere"}}, "bot.project: ", "folder"),
        ({"bot": {"python": "nowhere"}}, "bot.python: ", "uv sync"),
        ({"bot": {"colour": "red"}}, "bot.colour: no such key", "spelling"),
        ({"pool": {"warm": "120%"}}, "pool.warm: ", "correct"),
        ({"pool": {"min": 3, "max": 2}}, "pool: min: 3 is more than max", "correct"),
        ({"media": {"udp_ports": "7-8"}}, "media.udp_ports: '7-8': ports go from 1024", "correct"),
        ({"media": {"udp_ports": "20000-20001"}}, "media.udp_ports: 2 ports for 4 calls; widen", "correct"),
        ({"media": {"public_ip": "here"}}, "media.public_ip: ", "correct"),
        ({"listen": {"port": 70000}}, "listen.port: ", "correct"),
        ({"listen": {"socket": "x" * 120}}, "a unix socket's path has at most", "correct"),
        ({"access": {"trusted_proxies": ["all"]}}, "access.trusted_proxies: ", "correct"),
        ({"session": {"isolation": "docker"}}, "session.isolation: ", "correct"),
    ],
)
def test_errors(folder: Path, tables: dict[str, Any], message: str, hint: str) -> None:
    file = write_config(folder, tables)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_missing_key(folder: Path) -> None:
    file = folder / "front.toml"
    file.write_text('[bot]\nname = "x"\n')
    with pytest.raises(ConfigError, match=r"front.toml: bot.release: is missing") as caught:
        load(file)
    assert caught.value.hint == "add `release` to the file"


def test_no_file_and_no_toml(folder: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(folder / "none.toml")
    (folder / "bad.toml").write_text("a = \n")
    with pytest.raises(ConfigError, match=r"bad.toml: not TOML: .*line 1"):
        load(folder / "bad.toml")


def test_the_key(folder: Path) -> None:
    file = write_config(folder, {})
    config = load(file)
    assert read_key(file, config) == KEY
    (folder / "key").chmod(0o644)
    with pytest.raises(ConfigError, match=r"access.key_file: .*can be read by others") as caught:
        read_key(file, config)
    assert caught.value.hint.startswith("chmod 600 ")
    (folder / "key").chmod(0o600)
    (folder / "key").write_text("short")
    with pytest.raises(ConfigError, match="holds 5 characters"):
        read_key(file, config)
    (folder / "key").unlink()
    with pytest.raises(ConfigError, match=r"access.key_file: "):
        read_key(file, config)


def test_secrets(folder: Path) -> None:
    file = folder / "secrets.json"
    assert read_secrets(file) == {}
    file.write_text(json.dumps({"KEY": "two\nlines"}))
    with pytest.raises(ConfigError, match="can be read by others"):
        read_secrets(file)
    file.chmod(0o600)
    assert read_secrets(file) == {"KEY": "two\nlines"}
    file.write_text('{"KEY": "hush" ')
    with pytest.raises(ConfigError) as caught:
        read_secrets(file)
    assert "hush" not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


def test_a_turn_server_s_password_is_not_shown(folder: Path) -> None:
    servers = [{"urls": "turn:t.example", "username": "u", "credential": "hush"}]
    assert "hush" not in repr(load(write_config(folder, {"transport": {"ice_servers": servers}})))
