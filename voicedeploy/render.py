"""Templates to text: the only place that knows Jinja."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Artifact:
    """A rendered file: `path` is relative to where artifacts go on the target, `mode` its permission bits."""

    path: str
    text: str
    mode: int = 0o644


def templates() -> Path:
    """The folder of templates, in a checkout or in a wheel."""
    package = Path(__file__).parent
    shipped = package / "templates"
    return shipped if shipped.is_dir() else package.parent / "templates"


def _quote(value: object) -> str:
    """A TOML (and JSON) basic string."""
    import json

    return json.dumps(str(value), ensure_ascii=False)


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of `templates/<template>`; a name the template uses and `values` lacks is an error."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    env = Environment(
        loader=FileSystemLoader(templates()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  (units, TOML and Python, never HTML)
    )
    env.filters["quote"] = _quote
    return env
