"""Plans over what was seen, and what they render. No host is asked."""

import subprocess
from pathlib import Path

import pytest
from voicedeploy_providers.vm import Vm, releasing, setup
from voicedeploy_providers.vm.facts import Facts, Front, Ports
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.places import CADDYFILE, Places

from tests.providers.vm.seen import encoded, seen
from voicedeploy import beside
from voicedeploy.deployment import Deployment
from voicedeploy.plan import Call, Command, Remove, Stop, Write
from voicedeploy.spec import Spec, load

GOLDEN = Path(__file__).parent.parent.parent / "golden" / "vm"


@pytest.fixture
def spec(small_project: Path) -> Spec:
    (small_project / "voicedeploy.toml").write_text(
        '[bot]\nname = "front-desk"\n[provider.vm]\ndomain = "talk.example.org"\n'
    )
    return load(small_project / "voicedeploy.toml")


def test_the_files_are_those_that_were_looked_at(spec: Spec) -> None:
    release, engine = "abc1234", beside.identity()
    mine = Ports(7860, "20000-20007")
    rendered = {
        "unit.service": releasing.unit(spec, release).replace(engine, "ENGINE"),
        "front.toml": releasing.front_toml(spec, release, mine, Options()),
        "site.caddy": next(a.text for a in Vm.configure(spec.options("vm")).render(spec) if a.path.endswith(".caddy")),
    }
    for name, text in rendered.items():
        assert text == (GOLDEN / name).read_text("utf-8"), f"{name} is not what tests/golden/vm holds"


def test_rendering_asks_nobody(spec: Spec) -> None:
    first, second = Vm.configure({}).render(spec), Vm.configure({}).render(spec)
    assert first == second and len(first) == 3


def test_the_unit_is_what_systemd_understands(spec: Spec, tmp_path: Path) -> None:
    text = releasing.unit(spec, "abc1234")
    start = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    unit = tmp_path / "voicedeploy-front-desk@abc1234.service"
    unit.write_text(text.replace(start, "ExecStart=/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    # It exits with 0 for keys it does not know.
    ours = [line for line in done.stderr.splitlines() if unit.name in line or str(unit) in line]
    assert (done.returncode, ours) == (0, [])


def front(release: str, *, listening: bool = True, draining: bool = False, sessions: int = 0) -> Front:
    return Front("front-desk", release, True, "", listening, draining, sessions, 4, 1, 1800.0)


def standing(*fronts: Front, live: str = "", releases: tuple[str, ...] = (), **more: object) -> Facts:
    from dataclasses import replace

    about = {
        f"front-desk__release__{r}": encoded(f'created_at = "2026-11-{10 + n}T00:00:00+00:00"\nenvironment = "e{n}"\n')
        for n, r in enumerate(releases)
    }
    units = {
        f"front-desk__unit__{r}": f"{'active' if r in [f.release for f in fronts] else 'inactive'} "
        f"{'enabled' if r == live else 'disabled'}"
        for r in releases
    }
    record = Deployment("vm", "front-desk", live, "webrtc", "https://x/").labels()
    text = "".join(f'{key} = "{value}"\n' for key, value in record.items())
    facts = seen(
        bot="front-desk",
        **{
            "front-desk__release": list(releases),
            "front-desk__live": encoded(live),
            "front-desk__history": encoded("\n".join(releases)),
            "front-desk__deployment.toml": encoded(text),
            **about,
            **units,
            **more,
        },
    )
    return replace(facts, fronts=tuple(fronts))


def record(release: str) -> Deployment:
    return Deployment("vm", "front-desk", release, "webrtc", "https://x/")


def test_a_switch_opens_the_new_one_before_the_old_one_drains() -> None:
    facts = standing(front("r1", sessions=2), front("r2", listening=False), live="r1", releases=("r1", "r2"))
    opened, recorded, drained = releasing.switch("front-desk", "r2", record("r2"), facts)
    assert isinstance(opened.action, Call) and opened.action.url.endswith("/open") and opened.commits
    assert isinstance(recorded.action, Command) and recorded.commits
    assert isinstance(drained.action, Call) and drained.action.body == {"release_port": True}
    assert "2 calls end in their own time" in drained.summary


@pytest.mark.parametrize(
    ("facts", "subjects"),
    [
        # Whatever a cut left over is what is still to be done.
        (standing(front("r2"), live="r2", releases=("r1", "r2")), []),
        (standing(front("r1", draining=True, listening=False), front("r2"), live="r2", releases=("r1", "r2")), []),
        (standing(front("r1"), front("r2"), live="r2", releases=("r1", "r2")), ["release"]),
        (standing(front("r1"), front("r2"), live="r1", releases=("r1", "r2")), ["record", "release"]),
        (standing(front("r2", draining=True), live="r2", releases=("r1", "r2")), ["traffic"]),
    ],
)
def test_what_is_left_of_a_switch(facts: Facts, subjects: list[str]) -> None:
    assert [s.subject for s in releasing.switch("front-desk", "r2", record("r2"), facts)] == subjects


def test_pruning_keeps_what_runs_and_what_can_be_gone_back_to() -> None:
    releases = ("r1", "r2", "r3", "r4", "r5")
    facts = standing(front("r2", draining=True), front("r5"), live="r5", releases=releases)
    (step,) = releasing.prune("front-desk", "r5", facts, 2, "e4")
    assert isinstance(step.action, Remove)
    places = Places("front-desk")
    assert set(step.action.paths) == {
        path
        for n, r in ((0, "r1"), (2, "r3"))
        for path in (places.release(r), places.unit_file(r), places.environment(f"e{n}"))
    }
    assert releasing.prune("front-desk", "r5", facts, 9, "e4") == []
    (step,) = releasing.prune("front-desk", "r5", facts, 2, "e0")
    assert isinstance(step.action, Remove)
    assert places.environment("e0") not in step.action.paths, "the live release needs it"


def test_what_was_never_live_goes_first() -> None:
    facts = standing(front("r4"), live="r4", releases=("r1", "r2", "r3", "r4"), **{
        "front-desk__history": encoded("r1\nr2\nr4\n")})  # fmt: skip
    (step,) = releasing.prune("front-desk", "r4", facts, 3, "e3")
    assert isinstance(step.action, Remove)
    assert Places("front-desk").release("r3") in step.action.paths
    assert Places("front-desk").release("r1") not in step.action.paths


def test_back_without_a_name_is_to_the_one_before() -> None:
    facts = standing(front("r3"), live="r3", releases=("r1", "r2", "r3"))
    assert releasing.last_good(facts.of("front-desk")) == "r2"
    assert releasing.last_good(standing(live="r1", releases=("r1",)).of("front-desk")) == ""


UFW = """\
Status: active

To                         Action      From
--                         ------      ----
22/tcp                     ALLOW       Anywhere
443/tcp                    ALLOW       Anywhere
20000:20007/udp            ALLOW       Anywhere                   # voicedeploy front-desk
80/tcp                     ALLOW       Anywhere                   # voicedeploy front-desk
"""


def test_a_firewall_opens_what_is_missing_and_gives_back_what_is_ours() -> None:
    closed = seen(ufw=encoded("Status: active\n\nTo  Action  From\n22/tcp ALLOW Anywhere\n"))
    wanted = [step.action.argv for step in setup.firewall("front-desk", closed, Ports(7860, "20000-20007"))
              if isinstance(step.action, Command)]  # fmt: skip
    assert [argv[2] for argv in wanted] == ["80/tcp", "443/tcp", "20000:20007/udp"]
    opened = seen(ufw=encoded(UFW))
    assert setup.firewall("front-desk", opened, Ports(7860, "20000-20007")) == []
    (last,) = setup.close_firewall("front-desk", opened, Ports(7860, "20000-20007"), last=True)
    assert isinstance(last.action, Command)
    assert last.action.argv[4:] == ("80/tcp", "20000:20007/udp"), "443 was open before us"
    (other,) = setup.close_firewall("front-desk", opened, Ports(7860, "20000-20007"), last=False)
    assert isinstance(other.action, Command) and other.action.argv[4:] == ("20000:20007/udp",)
    assert setup.firewall("front-desk", seen(ufw=encoded("Status: inactive\n")), Ports(7860, "20000-20007")) == []


def phone(spec: Spec) -> Spec:
    spec.file.write_text(spec.file.read_text() + '[transport]\nkind = "twilio"\n')
    return load(spec.file)


def test_a_transport_without_udp_names_no_port(spec: Spec) -> None:
    calls = phone(spec)
    mine = Ports(7860, "20000-20007", "198.51.100.7", ("10.0.0.0/8",))
    text = releasing.front_toml(calls, "r1", mine, Options(udp_ports="20000-20007", public_ip="198.51.100.7"))
    assert 'udp_ports = ""' in text and "198.51.100.7" not in text and "20000" not in text
    (ports,) = (s for s in releasing.make(calls, "r1", seen(), Ports(7860, ""), Options(), "k" * 40, "https://x/")
                if s.subject == "ports")  # fmt: skip
    assert "udp" not in ports.detail
    rendered = Vm.configure({}).render(calls)
    assert not any("20000" in artifact.text for artifact in rendered)


def told(release: str, transport: str) -> dict[str, str]:
    return {f"front-desk__release__{release}": encoded(f'created_at = "2026-11-20"\ntransport = "{transport}"\n')}


def test_the_range_of_another_transport_is_closed_when_no_call_can_be_on_it() -> None:
    ports, opened = Ports(7860, "20000-20007"), {"ufw": encoded(UFW)}

    def subjects(facts: Facts) -> list[str]:
        return [step.summary for step in setup.firewall("front-desk", facts, ports, media=False)]

    draining = standing(
        front("r1", draining=True, sessions=1), front("r2"), live="r2", releases=("r1", "r2"),
        **opened, **told("r1", "webrtc"), **told("r2", "twilio"),
    )  # fmt: skip
    assert subjects(draining) == []
    over = standing(front("r2"), live="r2", releases=("r1", "r2"),
                    **opened, **told("r1", "webrtc"), **told("r2", "twilio"))  # fmt: skip
    assert subjects(over) == ["firewall  ufw: 20000:20007/udp"]
    bare = seen(ufw=encoded("Status: active\n\n22/tcp ALLOW Anywhere\n"))
    argv = [step.action.argv[2] for step in setup.firewall("front-desk", bare, Ports(7860, ""), media=False)
            if isinstance(step.action, Command)]  # fmt: skip
    assert argv == ["80/tcp", "443/tcp"]
    walled = seen(firewalld=encoded("80/tcp 443/tcp 20000-20007/udp"))
    assert subjects(walled) == ["firewall  firewalld: 20000-20007/udp"]
    assert setup.close_firewall("front-desk", walled, Ports(7860, ""), last=True) == []


def test_going_back_to_a_release_with_media_opens_its_ports_again() -> None:
    walled = {"ufw": encoded("Status: active\n\n80/tcp ALLOW Anywhere\n443/tcp ALLOW Anywhere\n"),
              "front-desk__ports": encoded(Ports(7860, "20000-20007").text())}  # fmt: skip
    vm = Vm.configure({"host": "x"})
    for transport, opens in (("webrtc", ["firewall"]), ("", ["firewall"]), ("daily", [])):
        vm._seen = standing(front("r2"), live="r2", releases=("r1", "r2"),
                            **walled, **told("r1", transport), **told("r2", "twilio"))  # fmt: skip
        plan = vm.back(record("r2"), "r1")
        assert [step.subject for step in plan.steps if step.subject == "firewall"] == opens
        assert plan.steps[0].subject == (opens or ["start"])[0]


def test_one_name_for_several_hosts_is_told(spec: Spec) -> None:
    from voicedeploy.network import Transport

    def codes(vm: Vm, spec: Spec) -> list[str]:
        return [finding.code for finding in vm._one_name_for_several(spec)]

    several = Vm.configure({"host": ["a", "b"], "domain": "talk.example.org"}).parts()
    assert [codes(vm, spec) for vm in several] == [["VD115"], ["VD115"]]
    assert codes(several[0], phone(spec)) == ["VD115"]
    room = spec.model_copy(update={"transport": spec.transport.model_copy(update={"kind": Transport.DAILY})})
    assert codes(several[0], room) == []
    assert codes(Vm.configure({"host": ["a", "b"]}).parts()[0], spec) == []
    assert codes(Vm.configure({"host": "a", "domain": "talk.example.org"}), spec) == []


def test_the_site_stays_as_it_is() -> None:
    from voicedeploy_providers.vm.entrance import entrance

    at = entrance(Options(domain="talk.example.org"), seen(), "")
    there = seen(
        bot="a", a__site=encoded("same"), caddy_active="yes", caddyfile=encoded("import /etc/caddy/voicedeploy/*.caddy")
    )
    assert setup.site(Places("a"), there, at, "same") == []
    assert setup.site(Places("a"), there, at, "other")[0].change == "~"
    assert CADDYFILE in str(setup.site(Places("a"), seen(), at, "same")[0].action)


def test_what_a_release_writes_keeps_its_secrets(spec: Spec) -> None:
    steps = releasing.make(spec, "r1", seen(), Ports(7860, "20000-20007"), Options(), "k" * 40, "https://x/")
    assert "k" * 40 not in repr(steps)
    key = next(step.action for step in steps if step.subject == "key")
    assert isinstance(key, Write) and key.secret and key.mode == 0o600
    assert not any(isinstance(step.action, Stop) for step in steps)
    (starting,) = (s for s in releasing.start("front-desk", "r1", None, "heard") if s.subject == "start")
    assert isinstance(starting.undo, Stop)
