"""How the stand-in behaves. What nobody outside of Fly knows is set to what is worse for us."""

from dataclasses import dataclass, field


@dataclass
class Settings:
    """Seconds are of the stand-in's clock."""

    limits: bool = True
    """Requests are limited as Fly limits them."""
    starting_s: float = 0.05
    stopping_s: float = 0.02
    """From the end of a machine's program to `stopped`."""
    check_every_s: float | None = 0.2
    """In place of each check's own interval; None leaves that."""
    idle_s: float = 300.0
    """After so long without a request, `autostop` stops a machine."""
    queue_s: float = 3.0
    """So long a request waits for a machine that has room."""
    list_lag_s: float = 0.0
    """Lists show a new machine so much later."""
    secrets_lag_s: float = 0.0
    """A machine without `min_secrets_version` starts with the secrets of so long ago."""
    restart_pause_s: float = 0.1
    full_regions: set[str] = field(default_factory=set)
    sick: set[str] = field(default_factory=set)
    """Names of machines whose checks never pass."""
    unreachable: set[str] = field(default_factory=set)
    """Names of machines whose host does not answer: `incomplete_config`."""
    udp_mtu: int = 1300
    """Bytes of the largest packet, headers included."""
    cordoned_reachable: bool = False
    """A cordoned machine is reached by `fly-force-instance-id` and `fly-replay`. Not known of the platform."""
    cordoned_udp: bool = False
    """A cordoned machine still gets UDP. Not known of the platform."""
