"""How callers come to a bot where a platform stands in place of a front."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Way:
    """What a front would say itself."""

    transport: str
    """Pipecat's key of it."""
    stream: str = ""
    """Where a phone carrier opens its socket by itself; "" where `/start` says where to."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What a carrier is told to say first on it."""
    cold_s: float = 0.0
    """Nothing is kept ready just now: so long it may take until somebody answers."""
    closed: str = ""
    """Why nobody can be called this way from here."""
    hint: str = ""
    """What to do about that, or where the socket does not open."""

    @property
    def told(self) -> str:
        """What a carrier is told for its calls."""
        said = "".join(f'<Parameter name="{name}" value="{value}"/>' for name, value in self.parameters.items())
        return f'<Stream url="{self.stream}">{said}</Stream>' if said else self.stream
