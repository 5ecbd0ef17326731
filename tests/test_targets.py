"""The table of targets: read strictly, judged in one place, and explained with evidence."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from voicedeploy import targets
from voicedeploy.errors import UsageError
from voicedeploy.network import BoundUdp, Known, NoUdp, Offer, OpenUdp, Transport, need, obstacle, verdict
from voicedeploy.targets import Target
from voicedeploy.targets.row import DATA

REPOSITORY = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden" / "targets"

ROWS = targets.load()
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def plain(text: str) -> str:
    """Wrapped text as one line."""
    return " ".join(text.split())


# --- reading ----------------------------------------------------------------------------------------


IDS = """
local vm vm-nat homelab homelab-cgnat fly pipecat-cloud hetzner ec2 do-droplet
kubernetes kubernetes-agones kubernetes-turn modal
ecs-fargate ecs-express eks apprunner lambda-aws agentcore agentcore-vpc gamelift gce
cloudrun cloudrun-worker cloudrun-instance gke-autopilot azure-vm aks azure-aca azure-aci foundry
northflank railway render heroku do-app koyeb cf-containers livekit-cloud
cerebrium runpod vast lambda-gpu baseten beam fal skypilot
vapi layercode daily exotel
"""


def test_no_target_is_lost_by_accident() -> None:
    assert {row.name for row in ROWS} == set(IDS.split())


@rows
def test_no_fact_is_newer_than_its_row(row: Target) -> None:
    assert row.evidence
    for fact in row.evidence:
        assert fact.date <= row.as_of, f"{row.name}: evidence newer than the row"


@rows
def test_a_row_does_not_contradict_itself(row: Target) -> None:
    assert not (row.bind and row.udp_in != "bound")
    assert not (row.ready and row.udp_in != "bound")
    assert not (row.websocket is Known.YES and row.http is Known.NO), "a WebSocket begins as HTTP"
    if isinstance(row.drain_default_s, int) and isinstance(row.drain_max_s, int):
        assert row.drain_default_s <= row.drain_max_s
    if row.http is Known.NO or row.websocket is Known.NO:
        assert row.http_text


def broken(tmp_path: Path, old: str, new: str) -> Path:
    text = DATA.read_text("utf-8")
    assert old in text
    path = tmp_path / "targets.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "local"', 'kind = "local"\nudp = "yes"', "local.udp: Extra inputs are not permitted"),
        ('kind = "local"', 'kind = "laptop"', "local.kind: "),
        ('as_of = "2026-11-20"', 'as_of = "last week"', "local.as_of: "),
        ('date = "2026-11-20"', 'date = "2026-13-01"', "local.evidence.0.date: "),
        ('mark = "ran"', 'mark = "hearsay"', "local.evidence.0.mark: "),
        ('says = "', 'say = "', "local.evidence.0.sa"),
        ('udp_out = "yes"', "udp_out = true", "local.udp_out: "),
        ('drain_max_s = "none"', "drain_max_s = -1", "local.drain_max_s"),
        ('websocket = "yes"\n', "", "local.websocket: Field required"),
        ('aliases = ["ssh"]', 'aliases = ["local"]', "vm: 'local' is also a name of 'local'"),
    ],
)
def test_a_fault_in_the_data_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"targets.toml: {says}")):
        targets.load(broken(tmp_path, old, new))


def test_a_row_without_evidence_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(re.sub(r"evidence = \[\n.*?\n\]", "evidence = []", DATA.read_text("utf-8"), count=1, flags=re.S))
    with pytest.raises(ValueError, match=r"local\.evidence: "):
        targets.load(path)


def test_find_by_name_alias_and_case() -> None:
    assert targets.find("cloudrun") is targets.find("Cloud-Run")
    assert targets.find("ssh").name == "vm"
    assert targets.find(" k8s ").name == "kubernetes"


def test_find_helps_with_a_typing_error() -> None:
    with pytest.raises(UsageError, match="no target 'cloudrum'") as caught:
        targets.find("cloudrum")
    assert "`cloudrun`" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        targets.find("zzzz")
    assert "voicedeploy targets" in caught.value.hint


# --- what follows from a row ------------------------------------------------------------------------


@rows
def test_obstacle_and_verdict_agree(row: Target) -> None:
    offered = targets.offer(row)
    for relay in (False, True):
        found = targets.verdicts(row, relay)
        assert list(found) == list(Transport)
        for transport in Transport:
            refused = obstacle(need(transport, relay), offered)
            assert (found[transport].word == "no") == bool(refused)
            assert (transport in targets.works(row, relay)) == (not refused)
            assert (targets.refusal(row, transport, relay) is not None) == bool(refused)


@rows
def test_every_refusal_names_udp_the_layer_dated_evidence_and_a_way_that_works(row: Target) -> None:
    for transport in Transport:
        refused = targets.refusal(row, transport)
        if refused is None:
            continue
        text = "\n".join(refused.lines())
        assert "UDP" in text and "layer: " in text and row.title in text
        assert refused.verdict.reason in text
        assert refused.evidence in row.evidence and refused.evidence.date in text and refused.evidence.where in text
        assert refused.instead
        for way in refused.instead:
            assert_works(way)


def assert_works(way: str) -> None:
    """A way out is read back and must hold: "`webrtc` or `daily` on vm, fly or ec2"."""
    relay = "TURN relay" in way
    said, _, places = way.partition(" on ")
    places, opt_in, _ = places.partition(" direct, which nobody has proven there: ")
    places = places.partition(" through a TURN relay")[0]
    wanted = re.findall(r"`([a-z]+)`", said)
    names = re.split(r", | or ", places)
    assert wanted and names, way
    for name in names:
        offered = targets.offer(targets.find(name))
        if opt_in:
            assert isinstance(offered.udp_in, BoundUdp)
            offered = replace(offered, udp_in=replace(offered.udp_in, ready=True))
        for transport in wanted:
            found = verdict(need(Transport(transport), relay), offered)
            assert found.word != "no", f"{way!r}: {transport} on {name}: {found.reason}"


@rows
def test_every_way_in_an_explanation_works(row: Target) -> None:
    told = targets.explain(row)
    for way in told.instead:
        assert_works(way)
    assert bool(told.instead) == any(found.word == "no" for found in targets.verdicts(row).values())


@rows
def test_what_is_unknown_is_never_refused(row: Target) -> None:
    found = targets.verdicts(row)
    if row.closed or row.udp_out is not Known.UNKNOWN:
        return
    assert found[Transport.DAILY].word == "dial-out"
    assert "UDP" in found[Transport.DAILY].warning


@rows
def test_udp_in_of_the_row_is_udp_in_of_the_offer(row: Target) -> None:
    offered = targets.offer(row)
    expected = {"yes": OpenUdp, "conditional": BoundUdp, "no": NoUdp, "unknown": NoUdp}[row.inbound]
    assert isinstance(offered.udp_in, expected)
    assert offered.udp_out is row.udp_out


@pytest.mark.parametrize(
    ("name", "transport", "relay", "word"),
    [
        ("local", "webrtc", False, "direct"),
        ("vm", "webrtc", False, "direct"),
        ("vm-nat", "webrtc", False, "direct"),
        ("homelab-cgnat", "webrtc", False, "no"),
        ("homelab-cgnat", "webrtc", True, "relay"),
        ("homelab-cgnat", "daily", False, "dial-out"),
        ("cloudrun", "webrtc", False, "no"),
        ("cloudrun", "daily", False, "no"),
        ("cloudrun", "livekit", False, "tcp"),
        ("cloudrun", "webrtc", True, "relay"),
        ("cloudrun", "twilio", False, "tcp"),
        ("cloudrun", "websocket", False, "tcp"),
        ("fly", "webrtc", False, "no"),
        ("fly", "webrtc", True, "relay"),
        ("fly", "daily", False, "dial-out"),
        ("pipecat-cloud", "webrtc", False, "relay"),
        ("kubernetes-turn", "webrtc", False, "relay"),
        ("gke-autopilot", "webrtc", False, "direct"),
        ("agentcore", "daily", False, "no"),
        ("agentcore-vpc", "daily", False, "dial-out"),
        ("azure-aci", "webrtc", False, "direct"),
        ("northflank", "webrtc", False, "direct"),
        ("vast", "webrtc", False, "no"),
        ("runpod", "webrtc", False, "no"),
        ("lambda-aws", "websocket", False, "no"),
        ("cloudrun-worker", "webrtc", True, "no"),
        ("livekit-cloud", "livekit", False, "no"),
        ("vapi", "webrtc", True, "no"),
    ],
)
def test_verdicts_that_people_ask_for(name: str, transport: str, relay: bool, word: str) -> None:
    assert targets.verdicts(targets.find(name), relay)[Transport(transport)].word == word


def test_fly_tells_what_direct_udp_would_take() -> None:
    refused = targets.refusal(targets.find("fly"), Transport.WEBRTC)
    assert refused is not None
    for condition in ("dedicated IPv4", "`fly-global-services`", "same port inside and outside"):
        assert condition in refused.verdict.reason
    assert targets.refusal(targets.find("fly"), Transport.WEBRTC, relay=True) is None


def test_a_provider_may_know_better_than_the_row() -> None:
    row = targets.find("fly")
    opened = Offer(BoundUdp("40000-40003", "10.0.0.7", "set up", ready=True))
    assert targets.refusal(row, Transport.WEBRTC, offered=opened) is None
    closed = Offer(NoUdp("0 of 16 ports answered"), udp_out=Known.NO)
    refused = targets.refusal(targets.find("vm"), Transport.DAILY, offered=closed)
    assert refused is not None and "`twilio`" in refused.instead[0]


def test_limits_in_words() -> None:
    def limits(name: str) -> tuple[str, str]:
        return targets.find(name).session_limit, targets.find(name).drain_limit

    assert limits("vm") == ("none", "none")
    assert limits("cloudrun") == ("60 min a WebSocket", "10 s")
    assert limits("fly") == ("none", "5 s, at most 5 min")
    assert limits("railway") == ("none", "0 s, upper limit unknown")
    assert limits("kubernetes") == ("none", "30 s, no upper limit")
    assert limits("pipecat-cloud") == ("4 h", "2 h, upper limit unknown")
    assert limits("agentcore") == ("14 days", "unknown")
    assert limits("modal") == ("unknown", "at most 1 h")


# --- what users read --------------------------------------------------------------------------------


def test_cloud_run_in_one_sentence() -> None:
    assert targets.headline(targets.find("cloudrun")) == (
        "Cloud Run carries TCP only for media: use websocket or phone transports (calls up to 60 min) "
        "or WebRTC through TURN over TLS."
    )


@pytest.mark.parametrize("name", ["cloudrun", "fly", "vm"])
def test_the_explanation_word_for_word(name: str) -> None:
    told = "\n".join(targets.explain(targets.find(name)).lines()) + "\n"
    assert told == (GOLDEN / f"{name}.txt").read_text("utf-8")


@rows
def test_the_explanation_fits_and_loses_nothing(row: Target) -> None:
    told = targets.explain(row)
    for width in (80, 100, 140):
        lines = told.lines(width)
        assert max(map(len, lines)) <= width
        assert not [line for line in lines if line != line.rstrip()]
    text = plain("\n".join(told.lines(10_000)))
    for fact in row.evidence:
        assert plain(f"{fact.date} {fact.where}: {fact.says}") in text
    for transport in Transport:
        assert f" {transport} " in text
    for said in (row.note, row.udp_in_text, row.udp_out_text, row.session_text, row.drain_text, row.warm):
        assert plain(said) in text


@rows
def test_the_headline_is_a_sentence_that_agrees_with_the_verdicts(row: Target) -> None:
    told = targets.headline(row)
    found = targets.verdicts(row)
    assert told.startswith(row.title) and told.endswith(".") and told.count(".") - row.title.count(".") == 1
    assert ("direct" in told) == (found[Transport.WEBRTC].word == "direct")
    assert ("does not host" in told) == (not targets.works(row, relay=True))
    assert ("TCP only" in told) <= (found[Transport.DAILY].word == "no")


def test_the_table_has_a_line_for_each_row() -> None:
    lines = targets.table(ROWS, {"local", "vm"})
    assert [line[0] for line in lines] == [row.name for row in ROWS]
    assert {len(line) for line in lines} == {len(targets.COLUMNS)}
    cells = {line[0]: dict(zip(targets.COLUMNS, line, strict=True)) for line in lines}
    assert cells["cloudrun"] == {
        "target": "cloudrun",
        "provider": "-",
        "UDP in": "no",
        "UDP out": "no",
        "webrtc": "with TURN",
        "rooms": "no",
        "phone, ws": "tcp",
        "one call": "60 min a WebSocket",
        "a deploy": "10 s",
        "as of": "2026-11-20",
    }
    assert cells["hetzner"]["provider"] == "vm"
    assert cells["railway"]["rooms"] == "dial-out?"
    assert cells["pipecat-cloud"]["webrtc"] == "relay"


def test_json_has_the_shape_of_the_contract() -> None:
    told = json.loads(json.dumps(targets.to_json(ROWS, {"local"})))
    assert list(told) == ["targets"] and len(told["targets"]) == len(ROWS)
    for row, one in zip(ROWS, told["targets"], strict=True):
        assert list(one) == [
            "name",
            "provider",
            "inbound_udp",
            "outbound_udp",
            "port_model",
            "websocket",
            "session_limit",
            "drain_limit",
            "transports",
            "note",
            "evidence",
            "as_of",
        ]
        assert one["provider"] is (row.name == "local")
        assert one["transports"] == [transport.value for transport in targets.works(row)]
        assert all(list(fact) == ["mark", "where", "date", "says"] for fact in one["evidence"])


def test_a_provider_that_is_not_installed_is_not_promised() -> None:
    def promised(installed: set[str]) -> set[str]:
        return {one["name"] for one in targets.to_json(ROWS, installed)["targets"] if one["provider"]}

    assert promised(set()) == set()
    assert {"vm", "hetzner", "ec2", "lambda-gpu"} <= promised({"vm"})
    assert "fly" not in promised({"vm"})


def test_the_reference_page_is_up_to_date() -> None:
    page = REPOSITORY / "docs" / "reference" / "targets.md"
    assert page.read_text("utf-8") == targets.page(), "run: python -m voicedeploy.targets > docs/reference/targets.md"


def test_the_reference_page_has_every_row_and_fact() -> None:
    page = targets.page()
    headings = re.findall(r"^## (.+)$", page, re.M)
    assert headings == [row.name for row in ROWS]
    for row in ROWS:
        assert f"](#{row.name})" in page
        for fact in row.evidence:
            assert fact.says.replace("<", "&lt;") in page
    table = [line for line in page.splitlines() if line.startswith("| [")]
    assert {line.count("|") for line in table} == {len(targets.COLUMNS) + 1}


def test_reading_the_table_is_cheap_for_whoever_does_not_ask() -> None:
    import subprocess
    import sys

    code = "import sys, voicedeploy.network; print('voicedeploy.targets' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.split() == ["False", "False"]
