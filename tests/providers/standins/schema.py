"""Values against the schemas of an OpenAPI description, as far as JSON Schema is used there."""

import re
from typing import Any
from uuid import UUID

_KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_SAYS_NOTHING = frozenset({"description", "example", "x-enum-varnames", "title", "default", "deprecated", "summary"})


def schemas(description: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = description["components"]["schemas"]
    return found


def json_of(part: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the JSON that a request or an answer holds."""
    schema: dict[str, Any] | None = part.get("content", {}).get("application/json", {}).get("schema")
    return schema


def operation(description: dict[str, Any], method: str, path: str) -> str:
    """The template of the path that has this method, the most literal one; "" where there is none."""
    given = path.strip("/").split("/")
    best = (-1, "")
    for template, operations in description["paths"].items():
        wanted = template.strip("/").split("/")
        if method.lower() not in operations or len(wanted) != len(given):
            continue
        if all(w.startswith("{") or w == g for w, g in zip(wanted, given, strict=True)):
            best = max(best, (sum(not w.startswith("{") for w in wanted), template), key=lambda b: b[0])
    return best[1]


def faults(
    description: dict[str, Any], schema: dict[str, Any], value: Any, at: str, *, closed: bool = False
) -> list[str]:
    """What is wrong with `value`; a keyword that is not known here is an error, not passed over.

    `closed`: a key that the schema does not name is wrong, whatever the schema says of that.
    """
    found: list[str] = []
    if value is None and schema.get("nullable"):
        return found
    for keyword, rule in schema.items():
        match keyword:
            case "$ref":
                found += faults(description, schemas(description)[rule.rpartition("/")[2]], value, at, closed=closed)
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
                    found += faults(description, rule[name], value[name], f"{at}.{name}", closed=closed)
                if closed and "additionalProperties" not in schema:
                    found += [f"{at}.{name} is not known" for name in value.keys() - rule.keys()]
            case "additionalProperties" if isinstance(value, dict):
                for name in value.keys() - schema.get("properties", {}).keys():
                    if rule is False:
                        found.append(f"{at}.{name} is not known")
                    elif isinstance(rule, dict):
                        found += faults(description, rule, value[name], f"{at}.{name}", closed=closed)
            case "items" if isinstance(value, list):
                for index, one in enumerate(value):
                    found += faults(description, rule, one, f"{at}[{index}]", closed=closed)
            case "allOf":
                for one in rule:
                    found += faults(description, one, value, at, closed=closed)
            case "oneOf":
                if sum(not faults(description, one, value, at, closed=closed) for one in rule) != 1:
                    found.append(f"{at}: it is not one of what it may be")
            case "minimum" | "maximum" if isinstance(value, int | float):
                if value < rule if keyword == "minimum" else value > rule:
                    found.append(f"{at}: {value} is beyond the {keyword} of {rule}")
            case "minLength" | "maxLength" | "minItems" if isinstance(value, str | list):
                if len(value) > rule if keyword == "maxLength" else len(value) < rule:
                    found.append(f"{at}: {len(value)} is beyond the {keyword} of {rule}")
            case "pattern" if isinstance(value, str):
                if not re.search(rule, value):
                    found.append(f"{at}: {value!r} is not like {rule}")
            case "format" if rule == "uuid" and isinstance(value, str):
                try:
                    UUID(value)
                except ValueError:
                    found.append(f"{at}: {value!r} is no UUID")
            case "required" | "properties" | "additionalProperties" | "items" | "nullable" | "format":
                pass
            case "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "pattern":
                pass
            case _ if keyword not in _SAYS_NOTHING:
                raise NotImplementedError(f"the description uses {keyword}, which this does not check")
    return found
