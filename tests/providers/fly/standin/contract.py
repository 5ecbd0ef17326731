"""Requests and answers against the vendor's description, and against the tighter one where that is silent."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

FOLDER = Path(__file__).parents[5] / "shared" / "contracts"
_OFFICIAL, _STRICT = "fly-machines-openapi.json", "fly-machines-openapi.strict.json"

_AMENDED = (("fly.MachineService", "properties", "autostop"), ("main.statusCode",))
"""Where the official text says more than its own schema: `autostop` is also a boolean; 422 says `name_taken`."""
_UNDOCUMENTED = {("POST", "/apps"): {"wait"}, ("DELETE", "/apps/{app_name}"): {"force"}}
"""Parameters that the vendor's own tools send."""
_SAYS_NOTHING = frozenset({"description", "example", "x-enum-varnames", "title", "format", "default", "deprecated"})


@dataclass(frozen=True)
class Contract:
    official: dict[str, Any]
    strict: dict[str, Any]

    @classmethod
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
        template, _ = self._operation(self.official, method, path)
        if not template:
            return [f"{method} {path} is not in the description"]
        found = []
        for description in (self.official, self.strict):
            operation = description["paths"][template][method.lower()]
            if schema := _json(operation.get("requestBody", {})):
                found += _faults(description, schema, body, "body")
            elif body is not None:
                found.append(f"{method} {template} takes no body")
        return found + _query_faults(method, template, self.official["paths"][template], query)

    def answer(self, method: str, path: str, status: int, body: Any) -> list[str]:
        template, _ = self._operation(self.official, method, path)
        found = []
        for description in (self.official, self.strict):
            declared = description["paths"][template][method.lower()]["responses"] if template else {}
            if str(status) in declared:
                schema = _json(declared[str(status)])
            elif status >= 400:
                schema = {"$ref": "#/components/schemas/ErrorResponse"}
            else:
                found.append(f"{method} {template} never answers {status}")
                continue
            if schema and schema.get("$ref", "").endswith("/Lease") and "LeaseEnvelope" in _schemas(description):
                schema = {"$ref": "#/components/schemas/LeaseEnvelope"}
            if schema:
                found += _faults(description, schema, body, "answer")
        return found

    def _operation(self, description: dict[str, Any], method: str, path: str) -> tuple[str, dict[str, Any]]:
        given = path.strip("/").split("/")
        best: tuple[int, str, dict[str, Any]] = (-1, "", {})
        for template, operations in description["paths"].items():
            wanted = template.strip("/").split("/")
            if method.lower() not in operations or len(wanted) != len(given):
                continue
            if all(w.startswith("{") or w == g for w, g in zip(wanted, given, strict=True)):
                literal = sum(not w.startswith("{") for w in wanted)
                best = max(best, (literal, template, operations[method.lower()]), key=lambda b: b[0])
        return best[1], best[2]


def _schemas(description: dict[str, Any]) -> dict[str, Any]:
    schemas: dict[str, Any] = description["components"]["schemas"]
    return schemas


def _json(part: dict[str, Any]) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = part.get("content", {}).get("application/json", {}).get("schema")
    return schema


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


_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


def _faults(description: dict[str, Any], schema: dict[str, Any], value: Any, at: str) -> list[str]:
    """As far as JSON Schema is used there; a keyword that is not known here is an error, not passed over."""
    found: list[str] = []
    for keyword, rule in schema.items():
        match keyword:
            case "$ref":
                found += _faults(description, _schemas(description)[rule.rpartition("/")[2]], value, at)
            case "type":
                wrong = not isinstance(value, _KINDS[rule]) or (isinstance(value, bool) and rule != "boolean")
                if wrong:
                    found.append(f"{at}: {type(value).__name__} in place of {rule}")
            case "enum":
                if value not in rule:
                    found.append(f"{at}: {value!r} is none of {rule}")
            case "required" if isinstance(value, dict):
                found += [f"{at}.{name} is missing" for name in rule if name not in value]
            case "properties" if isinstance(value, dict):
                for name in rule.keys() & value.keys():
                    found += _faults(description, rule[name], value[name], f"{at}.{name}")
            case "additionalProperties" if isinstance(value, dict):
                for name in value.keys() - schema.get("properties", {}).keys():
                    if rule is False:
                        found.append(f"{at}.{name} is not known")
                    elif isinstance(rule, dict):
                        found += _faults(description, rule, value[name], f"{at}.{name}")
            case "items" if isinstance(value, list):
                for index, one in enumerate(value):
                    found += _faults(description, rule, one, f"{at}[{index}]")
            case "allOf":
                for one in rule:
                    found += _faults(description, one, value, at)
            case "oneOf":
                if sum(not _faults(description, one, value, at) for one in rule) != 1:
                    found.append(f"{at}: {value!r} is not one of what it may be")
            case "required" | "properties" | "additionalProperties" | "items":
                pass
            case _ if keyword not in _SAYS_NOTHING:
                raise NotImplementedError(f"the description uses {keyword}, which this does not check")
    return found
