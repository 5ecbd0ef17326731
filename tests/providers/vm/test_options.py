import pytest
from voicedeploy_providers.vm import Vm

from voicedeploy.errors import SpecError


@pytest.mark.parametrize(
    ("options", "key", "remedy"),
    [
        ({"hots": "x"}, "provider.vm.hots", "did you mean `host`"),
        ({"host": "-oProxyCommand=x"}, "provider.vm.host", "alias"),
        ({"host": ["a", "a"]}, "provider.vm.host", "once"),
        ({"domain": "https://x.org"}, "provider.vm.domain", "talk.example.org"),
        ({"https": "no"}, "provider.vm.https", "one of"),
        ({"udp_ports": "1-2"}, "provider.vm.udp_ports", "20000-20015"),
        ({"public_ip": "example.org"}, "provider.vm.public_ip", "192.168.1.10"),
        ({"packages": ["lib gl"]}, "provider.vm.packages", "libgl1"),
        ({"keep": 0}, "provider.vm.keep", "correct"),
    ],
)
def test_what_is_wrong_is_said_with_file_key_and_remedy(options: dict[str, object], key: str, remedy: str) -> None:
    with pytest.raises(SpecError) as caught:
        Vm.configure(options)
    assert f"voicedeploy.toml: {key}" in caught.value.message
    assert remedy in caught.value.hint


def test_one_provider_a_host() -> None:
    both = Vm.configure({"host": ["a", "b"], "keep": 5})
    assert [part.where for part in both.parts()] == ["vm a", "vm b"]
    one = Vm.configure({"host": "a"})
    assert one.parts() == [one]
