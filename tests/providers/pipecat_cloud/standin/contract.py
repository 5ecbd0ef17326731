"""Requests and answers against the vendor's description of its API."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from tests.providers.standins.schema import faults, json_of, operation

FILE = Path(__file__).parents[5] / "shared" / "contracts" / "pipecat-cloud-openapi.json"


@dataclass(frozen=True)
class Contract:
    description: dict[str, Any]

    @classmethod
    @cache
    def find(cls) -> Self | None:
        """None where the description is not beside the repository."""
        return cls(json.loads(FILE.read_text("utf-8"))) if FILE.is_file() else None

    def request(self, method: str, path: str, query: dict[str, str], body: Any) -> list[str]:
        """What is wrong with it: also a key that it does not name, which the platform passes over without a word."""
        template = operation(self.description, method, path)
        if not template:
            return [f"{method} {path} is not in the description"]
        declared = self.description["paths"][template][method.lower()]
        found = []
        schema = json_of(declared.get("requestBody", {}))
        if schema and (body is not None or declared["requestBody"].get("required")):
            found += faults(self.description, schema, body, "body", closed=True)
        elif body is not None:
            found.append(f"{method} {template} takes no body")
        return found + _path_faults(self.description, declared, template, path) + _query_faults(declared, query)

    def answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        template = operation(self.description, method, path)
        declared = self.description["paths"][template][method.lower()]["responses"] if template else {}
        if str(status) in declared:
            schema = json_of(self._resolved(declared[str(status)]))
            return faults(self.description, schema, body, "answer", closed=status < 400) if schema else []
        # It does not mention 409 and 429 everywhere; its text does.
        return [] if status >= 400 else [f"{method} {template} never answers {status}"]

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        found: dict[str, Any] = self.description["components"]["responses"][part["$ref"].rpartition("/")[2]]
        return found


def _path_faults(description: dict[str, Any], declared: dict[str, Any], template: str, path: str) -> list[str]:
    parameters = {p["name"]: p for p in declared.get("parameters", []) if p.get("in") == "path"}
    found = []
    for wanted, given in zip(template.strip("/").split("/"), path.strip("/").split("/"), strict=True):
        if wanted.startswith("{") and (parameter := parameters.get(wanted.strip("{}"))):
            found += faults(description, parameter["schema"], given, f"path {wanted}")
    return found


def _query_faults(declared: dict[str, Any], query: dict[str, str]) -> list[str]:
    known = {p["name"]: p["schema"] for p in declared.get("parameters", []) if p.get("in") == "query"}
    found = []
    for name, value in query.items():
        schema = known.get(name)
        if schema is None:
            found.append(f"query {name} is not in the description")
        elif schema["type"] == "integer":
            if not value.lstrip("-").isdigit() or int(value) > schema.get("maximum", int(value)):
                found.append(f"query {name}: {value} is no such integer")
        elif value not in schema.get("enum", [value]):
            found.append(f"query {name}: {value} is none of {schema['enum']}")
    return found
