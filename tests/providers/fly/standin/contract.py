"""Requests and answers against the vendor's description, and against the tighter one where that is silent."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from tests.providers.standins.schema import faults, json_of, operation, schemas

FOLDER = Path(__file__).parents[5] / "shared" / "contracts"
_OFFICIAL, _STRICT = "fly-machines-openapi.json", "fly-machines-openapi.strict.json"

_AMENDED = (("fly.MachineService", "properties", "autostop"), ("main.statusCode",))
"""Where the official text says more than its own schema: `autostop` is also a boolean; 422 says `name_taken`."""
_UNDOCUMENTED = {("POST", "/apps"): {"wait"}, ("DELETE", "/apps/{app_name}"): {"force"}}
"""Parameters that the vendor's own tools send."""


@dataclass(frozen=True)
class Contract:
    official: dict[str, Any]
    strict: dict[str, Any]

    @classmethod
    @cache
    def find(cls) -> Self | None:
        """None where the descriptions are not beside the repository."""
        if not (FOLDER / _OFFICIAL).is_file():
            return None
        official, strict = (json.loads((FOLDER / name).read_text("utf-8")) for name in (_OFFICIAL, _STRICT))
        for *way, last in _AMENDED:
            there, tighter = official["components"]["schemas"], strict["components"]["schemas"]
            for key in way:
                there, tighter = there[key], tighter[key]
            there[last] = tighter[last]
        return cls(official, strict)

    def request(self, method: str, path: str, query: dict[str, str], body: Any) -> list[str]:
        """What is wrong with it; `path` is without `/v1`."""
        template = operation(self.official, method, path)
        if not template:
            return [f"{method} {path} is not in the description"]
        found = []
        for description in (self.official, self.strict):
            declared = description["paths"][template][method.lower()]
            if schema := json_of(declared.get("requestBody", {})):
                found += faults(description, schema, body, "body")
            elif body is not None:
                found.append(f"{method} {template} takes no body")
        return found + _query_faults(method, template, self.official["paths"][template], query)

    def answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        template = operation(self.official, method, path)
        found = []
        for description in (self.official, self.strict):
            declared = description["paths"][template][method.lower()]["responses"] if template else {}
            if str(status) in declared:
                schema = json_of(declared[str(status)])
            elif status >= 400:
                schema = {"$ref": "#/components/schemas/ErrorResponse"}
            else:
                found.append(f"{method} {template} never answers {status}")
                continue
            if schema and schema.get("$ref", "").endswith("/Lease") and "LeaseEnvelope" in schemas(description):
                schema = {"$ref": "#/components/schemas/LeaseEnvelope"}
            if schema:
                found += faults(description, schema, body, "answer")
        return found


def _query_faults(method: str, template: str, operations: dict[str, Any], query: dict[str, str]) -> list[str]:
    declared = {p["name"]: p for p in operations[method.lower()].get("parameters", []) if p["in"] == "query"}
    found = [f"query {name} is missing" for name, p in declared.items() if p.get("required") and name not in query]
    for name, value in query.items():
        if name in _UNDOCUMENTED.get((method, template), set()):
            continue
        if name.startswith("metadata.") and template.endswith("/machines"):
            continue
        if name not in declared:
            found.append(f"query {name} is not in the description of {method} {template}")
            continue
        schema = declared[name]["schema"]
        if schema["type"] == "integer" and not value.lstrip("-").isdigit():
            found.append(f"query {name}: {value} is no integer")
        if schema["type"] == "boolean" and value not in ("true", "false"):
            found.append(f"query {name}: {value} is no boolean")
        if "enum" in schema and not set(value.split(",")) <= set(schema["enum"]):
            found.append(f"query {name}: {value} is none of {schema['enum']}")
    return found
