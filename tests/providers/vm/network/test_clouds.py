import pytest
from voicedeploy_providers.vm.network.clouds import cloud


@pytest.mark.parametrize(
    ("hardware", "name"),
    [
        (("Amazon EC2", "t3.small", "Amazon EC2", "Amazon EC2"), "AWS"),
        (("Google", "Google Compute Engine", "Google"), "Google Cloud"),
        (("Microsoft Corporation", "Virtual Machine", "7783-7084-3265-9085-8269-3286-77"), "Azure"),
        (("Hetzner", "vServer"), "Hetzner"),
        (("QEMU", "Standard PC (i440FX + PIIX, 1996)", "SeaBIOS", "OracleCloud.com"), "Oracle Cloud"),
    ],
)
def test_a_cloud_is_known_by_its_firmware(hardware: tuple[str, ...], name: str) -> None:
    found = cloud(hardware)
    assert found is not None
    assert found.name == name
    assert found.firewall.startswith(("the ", "a "))


def test_a_machine_at_home_is_in_no_cloud() -> None:
    assert cloud(("Intel(R) Client Systems", "NUC11PAHi5", "Intel Corp.")) is None
    assert cloud(("Microsoft Corporation", "Virtual Machine")) is None  # Hyper-V on somebody's own server
    assert cloud(()) is None
