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
