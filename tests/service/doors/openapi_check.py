"""Whether a value is what a schema of an OpenAPI document says: the part of JSON Schema that ours uses."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
_KNOWN = {
    *("type", "format", "items", "properties", "additionalProperties", "required"),
    *("$ref", "allOf", "nullable", "description"),
}


def problems(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "$") -> list[str]:
    """Where they differ, one line each."""
    assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
    if value is None and schema.get("nullable"):
        return []
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return problems(document, document["components"]["schemas"][name], value, at)
    found = [line for part in schema.get("allOf", ()) for line in problems(document, part, value, at)]
    kind = schema.get("type")
    if kind is None:
        return found
    content: Any = value
    if not isinstance(value, _TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool)):
        return [f"{at}: {value!r} is not of type {kind}"]
    if kind == "array":
        for index, item in enumerate(content):
            found += problems(document, schema["items"], item, f"{at}[{index}]")
    if kind == "object":
        found += _object_problems(document, schema, content, at)
    return found


def _object_problems(
    document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any], at: str
) -> list[str]:
    found = [f"{at}: no {name}" for name in schema.get("required", ()) if name not in value]
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            found += problems(document, known[name], item, f"{at}.{name}")
        elif others is False:
            found.append(f"{at}: {name} is not in the schema")
        elif isinstance(others, dict):
            found += problems(document, others, item, f"{at}.{name}")
    return found


def answer_schema(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """Of what an operation answers."""
    operation = document["paths"][path][method.lower()]
    schema: dict[str, Any] = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return schema
