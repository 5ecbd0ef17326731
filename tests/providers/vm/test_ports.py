import pytest
from voicedeploy_providers.vm.facts import Ports
from voicedeploy_providers.vm.options import Options
from voicedeploy_providers.vm.ports import allot

from tests.providers.vm.seen import encoded, seen


def host(**bots: Ports) -> dict[str, object]:
    return {"bot": list(bots), **{f"{name}__ports": encoded(ports.text()) for name, ports in bots.items()}}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, Ports(7860, "20000-20007")),
        ({"tcp": ["7860 nginx", "7861 x"]}, Ports(7862, "20000-20007")),
        (host(other=Ports(7860, "20000-20007")), Ports(7861, "20008-20015")),
        (host(a=Ports(7860, "20004-20005"), b=Ports(7861, "20010-20011")), Ports(7862, "20012-20019")),
        # What the bot has it keeps, also when its own front listens there.
        ({**host(mine=Ports(7870, "21000-21007")), "tcp": "7870 python"}, Ports(7870, "21000-21007")),
        # More slots than ports: it moves.
        (host(mine=Ports(7870, "21000-21003")), Ports(7870, "20000-20007")),
    ],
)
def test_the_first_that_nobody_has(facts: dict[str, object], expected: Ports) -> None:
    assert allot("mine", 4, Options(), seen(**facts)) == expected


def test_the_spec_has_the_last_word() -> None:
    assert allot("mine", 4, Options(udp_ports="30000-30003"), seen()).udp == "30000-30003"


def test_without_media_no_range_is_taken_and_the_one_it_has_stays_its_own() -> None:
    assert allot("mine", 4, Options(), seen(), media=False) == Ports(7860, "")
    assert allot("mine", 4, Options(udp_ports="30000-30003"), seen(), media=False).udp == ""
    had = Ports(7870, "21000-21007", "198.51.100.7")
    assert allot("mine", 4, Options(), seen(**host(mine=had)), media=False) == had
    # Another bot that has none is nobody's neighbour; one that kept its range still is.
    facts = seen(**host(phone=Ports(7860, ""), switched=Ports(7861, "20000-20007")))
    assert allot("mine", 4, Options(), facts) == Ports(7862, "20008-20015")
    # Back to a transport with media: the same range again.
    assert allot("mine", 4, Options(), seen(**host(mine=had))) == had
    assert allot("phone", 4, Options(), facts).udp == "20008-20015"


def test_a_bot_without_a_range_is_written_and_read_as_that() -> None:
    mine = Ports(7860, "")
    assert "udp" not in mine.text()
    assert seen(**host(mine=mine)).of("mine").ports == mine
