"""`[provider.local]` of voicedeploy.toml."""

from pydantic import Field

from voicedeploy import options


class Options(options.Options):
    host: options.Address = "127.0.0.1"
    """The address the front listens on; 0.0.0.0 lets the local network in."""
    port: int = Field(default=7860, ge=1, le=65535)
    udp_ports: options.PortRange = ""
    """A range such as `20000-20015`; empty is two ports a slot from 20000 on (the second for the next release)."""
    public_ip: options.Address = ""
    """The address that callers outside see, where it is not on a network card of this machine."""
    nets: options.Networks = ()
    """Only addresses in these networks are offered to callers."""

    def ports(self, slots: int) -> range:
        return options.ports(self.udp_ports) if self.udp_ports else range(20000, 20000 + 2 * slots)
