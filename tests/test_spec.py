"""voicedeploy.toml: what is read, and that each fault names the file, the key and the remedy."""

from pathlib import Path

import pytest

from voicedeploy.errors import SpecError
from voicedeploy.network import Transport
from voicedeploy.spec import load


def write(folder: Path, text: str) -> Path:
    path = folder / "voicedeploy.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_smallest_spec_has_the_documented_defaults(tmp_path: Path) -> None:
    spec = load(write(tmp_path, '[bot]\nname = "front-desk"\n'))
    assert (spec.bot.entry, spec.bot.provider, spec.transport.kind) == ("bot.py", "local", Transport.WEBRTC)
    assert (spec.session.cpu, spec.session.memory, spec.session.max_duration) == (0.5, 2**30, 1800)
    assert (spec.pool.warm, spec.pool.min, spec.pool.max) == ("20%", 1, 4)
    assert not spec.access.public
    assert spec.root == tmp_path


def test_everything_set(tmp_path: Path) -> None:
    text = """
[bot]
name = "front-desk"
entry = "app/bot.py"
python = "3.12"
secrets = ["OPENAI_API_KEY"]
[transport]
kind = "daily"
turn = [{urls = "turns:turn.example.org:5349?transport=tcp", username = "u", credential = "p"}]
ice_servers = ["stun:stun.example.org:3478"]
[session]
cpu = 1
memory = "512MiB"
max_duration = "1h30m"
isolation = "spawn"
[pool]
warm = 2
min = 0
max = 8
[access]
origins = ["https://www.example.org"]
[provider.vm]
host = "homelab"
"""
    spec = load(write(tmp_path, text))
    assert spec.session.memory == 512 * 2**20
    assert spec.session.max_duration == 5400
    assert [server.urls[0][:5] for server in spec.transport.servers] == ["turns", "stun:"]
    assert spec.options("vm") == {"host": "homelab"}
    assert spec.options("fly") == {}


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("", "bot", "add the key"),
        ("[bot]\n", "bot.name", "add the key"),
        ('[bot]\nname = "Front Desk"\n', "bot.name", "lower-case letters"),
        ("[bot]\nname = 7\n", "bot.name", "in quotes"),
        ('[bot]\nname = "a"\nentri = "x.py"\n', "bot.entri", "did you mean `entry`?"),
        ('[bot]\nname = "a"\n[sesion]\ncpu = 1\n', "sesion", "did you mean `session`?"),
        ('[bot]\nname = "a"\nzzz = 1\n', "bot.zzz", "known here: entry, name"),
        ('[bot]\nname = "a"\nentry = "../bot.py"\n', "bot.entry", "async def bot"),
        ('[bot]\nname = "a"\nsecrets = ["KEY=value"]\n', "bot.secrets", "names only"),
        ('[bot]\nname = "a"\n[transport]\nkind = "carrier-pigeon"\n', "transport.kind", "'webrtc', 'daily'"),
        ('[bot]\nname = "a"\n[transport]\nturn = ["http://x"]\n', "transport.turn.0.urls", "turns:turn.example.org"),
        ('[bot]\nname = "a"\n[upstream]\nurl = "api.example.org"\n', "upstream.url", "pipecat-cloud"),
        ('[bot]\nname = "a"\n[upstream]\nurl = "https://a.example.org"\n', "upstream", "secrets set"),
        ('[bot]\nname = "a"\n[session]\nmemory = "1 gig"\n', "session.memory", '"1GiB"'),
        ('[bot]\nname = "a"\n[session]\nmemory = 1024\n', "session.memory", '"1GiB"'),
        ('[bot]\nname = "a"\n[session]\nmemory = "1MiB"\n', "session.memory", '"1GiB"'),
        ('[bot]\nname = "a"\n[session]\nmax_duration = "soon"\n', "session.max_duration", '"30m"'),
        ('[bot]\nname = "a"\n[session]\nmax_duration = "0s"\n', "session.max_duration", '"30m"'),
        ('[bot]\nname = "a"\n[session]\ncpu = "half"\n', "session.cpu", "without quotes"),
        ('[bot]\nname = "a"\n[session]\nisolation = "vm"\n', "session.isolation", "'fork' or 'spawn'"),
        ('[bot]\nname = "a"\n[pool]\nwarm = "lots"\n', "pool.warm", '"0%" to "99%"'),
        ('[bot]\nname = "a"\n[pool]\nwarm = "100%"\n', "pool.warm", '"0%" to "99%"'),
        ('[bot]\nname = "a"\n[pool]\nmin = 9\n', "pool", "raise pool.max"),
        ('[bot]\nname = "a"\n[access]\norigins = ["example.org"]\n', "access.origins", "https://www.example.org"),
        ('[bot]\nname = "a"\n[access]\npublic = "yes"\n', "access.public", "true or false"),
    ],
)
def test_every_fault_names_the_file_the_key_and_the_remedy(tmp_path: Path, text: str, key: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(write(tmp_path, text))
    assert caught.value.message.startswith(f"voicedeploy.toml: {key}: ")
    assert remedy in caught.value.hint
    assert caught.value.exit_code == 2


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(write(tmp_path, '[bot]\nname = "A"\n[session]\nmemory = "x"\ncpu = -1\n'))
    assert caught.value.message.count("voicedeploy.toml: ") == 3


def test_a_credential_is_never_repeated(tmp_path: Path) -> None:
    text = '[bot]\nname = "a"\n[transport]\nturn = [{urls = "turn:x", credential = {hidden = "s3cret"}}]\n'
    with pytest.raises(SpecError) as caught:
        load(write(tmp_path, text))
    assert "s3cret" not in caught.value.message + caught.value.hint


TURN = '[bot]\nname = "a"\n[transport]\nturn = [{{ {} }}]\n'


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ('urls = "turn:x"', 'secret = "TURN_SECRET"'),
        ('urls = "turn:x", username = "u"', "username and credential"),
        ('urls = "turn:x", secret = "S", credential = "c3"', "not both"),
        ('urls = "stun:x", secret = "S"', "turns:turn.example.org"),
        ('urls = "turns:x?transport=udp", secret = "S"', "turns:turn.example.org"),
        ('secret = "S"', "add urls"),
        ('cloudflare = "k"', "voicedeploy secrets set CLOUDFLARE_TURN_TOKEN"),
        ('cloudflare = "k", secret = "S", urls = "turn:x"', "nothing else"),
        ('cloudflare = "k/../v", secret = "S"', "dashboard"),
        ('urls = "turn:x", secret = "c3-is-no-name"', "voicedeploy secrets set TURN_SECRET"),
        ('urls = "turn:x", secret = {c3 = "c3"}', "in quotes"),
    ],
)
def test_a_relay_has_one_kind_of_credentials(tmp_path: Path, entry: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(write(tmp_path, TURN.format(entry)))
    assert caught.value.message.startswith("voicedeploy.toml: transport.turn.0")
    assert remedy in caught.value.hint
    assert "c3" not in caught.value.message


def test_the_secrets_of_relays_have_to_be_set_too(tmp_path: Path) -> None:
    text = TURN.format('urls = ["turn:x", "turns:x"], secret = "TURN_SECRET" }, { cloudflare = "k", secret = "TOKEN"')
    spec = load(write(tmp_path, text.replace('"a"\n', '"a"\nsecrets = ["KEY"]\n')))
    assert spec.secrets == ("KEY", "TURN_SECRET", "TOKEN")
    assert spec.transport.turn[0].asked == ("turn:x", "turns:x")
    assert spec.transport.turn[1].asked[0].startswith("turn:")


def test_relay_only_needs_a_relay(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no way to the bot"):
        load(write(tmp_path, '[bot]\nname = "a"\n[transport]\nrelay_only = true\n'))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(tmp_path / "voicedeploy.toml")
    assert "voicedeploy init" in caught.value.hint


@pytest.mark.parametrize("content", [b"[bot\n", b"\xff\xfe", b"name = front-desk\n"])
def test_not_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "voicedeploy.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load(path)
    assert "voicedeploy.toml" in caught.value.message
    assert caught.value.hint


def test_a_region_is_a_word_of_the_service(tmp_path: Path) -> None:
    spec = load(write(tmp_path, '[bot]\nname = "a"\n[transport]\nkind = "daily"\nregion = "eu-central-1"\n'))
    assert spec.transport.region == "eu-central-1"
    with pytest.raises(SpecError, match=r"transport\.region: 'Frankfurt am Main' is not a region"):
        load(write(tmp_path, '[bot]\nname = "a"\n[transport]\nregion = "Frankfurt am Main"\n'))
