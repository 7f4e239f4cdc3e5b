"""The OpenAPI document, made of the table of routes and the shapes that answers are made with."""

from __future__ import annotations

import re
from typing import Any

from packhorse.scheduler.model.shapes.document import ERROR, META, RELEASE, WARNING
from packhorse.scheduler.model.shapes.shape import VERSION, Shape
from packhorse.scheduler.service.rest.fields import Body
from packhorse.scheduler.service.rest.routes import Parameter, Route

PATHS = ("/openapi/v3", "/openapi.json", "/openapi")
"""Where it is served."""

_PLAIN: dict[str, dict[str, Any]] = {
    "text": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "float": {"type": "number", "format": "double"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "ints": {"type": "array", "items": {"type": "integer", "format": "int64"}},
    "any": {},
}
_NUMBERS = {"number": "uint64_no_val_struct", "float_number": "float64_no_val_struct"}
_SECURITY: list[dict[str, list[str]]] = [{"user": [], "token": []}, {"token": []}, {"bearerAuth": []}]


def document(routes: list[Route]) -> dict[str, Any]:
    """The whole document."""
    components = _Components()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Slurm REST API",
            "description": "Slurm's REST interface as Packhorse answers it",
            "version": f"Slurm-{'.'.join(RELEASE)}&openapi/slurmctld&openapi/slurmdbd",
        },
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "user": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-SLURM-USER-NAME",
                    "description": "the caller's name; it has to be the one of the token",
                },
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-SLURM-USER-TOKEN",
                    "description": "a token of `packhorse token` or `scontrol token`",
                },
                "bearerAuth": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "the same token",
                },
            },
            "schemas": dict(sorted(components.schemas.items())),
        },
    }


class _Components:
    """The schemas that the operations refer to, collected as they do."""

    def __init__(self) -> None:
        self.schemas: dict[str, dict[str, Any]] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a kind."""
        if isinstance(kind, Shape):
            return self._shape(kind)
        if isinstance(kind, Body):
            return self._object(kind.name, kind.fields, ())
        if isinstance(kind, tuple):
            return self._made_of(*kind)
        if kind in _NUMBERS:
            return self._number(kind)
        return _PLAIN[kind]

    def _made_of(self, how: str, kind: Any) -> dict[str, Any]:
        inner = self.of(kind)
        if how == "list":
            return {"type": "array", "items": inner}
        if how == "map":
            return {"type": "object", "additionalProperties": inner}
        if how == "nullable":
            return {"nullable": True, "allOf": [inner]}
        raise ValueError(f"{how} is no way to make a kind of another")

    def _number(self, kind: str) -> dict[str, Any]:
        name = f"{VERSION}_{_NUMBERS[kind]}"
        value = _PLAIN["float" if kind == "float_number" else "int"]
        self.schemas[name] = {
            "type": "object",
            "description": "a number that may be not set, or infinite",
            "properties": {"set": _PLAIN["bool"], "infinite": _PLAIN["bool"], "number": value},
        }
        return {"$ref": f"#/components/schemas/{name}"}

    def _shape(self, shape: Shape) -> dict[str, Any]:
        kinds = {key: kind for key, (kind, _) in {**shape.fields, **shape.extra}.items()}
        return self._object(shape.name, kinds, tuple(shape.fields))

    def _object(self, name: str, kinds: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
        name = f"{VERSION}_{name}"
        if name not in self.schemas:
            self.schemas[name] = {}  # a shape within itself finds it
            made: dict[str, Any] = {
                "type": "object",
                "properties": {key: self.of(kind) for key, kind in kinds.items()},
                "additionalProperties": False,
            }
            if required:
                made["required"] = list(required)
            self.schemas[name] = made
        return {"$ref": f"#/components/schemas/{name}"}


def _operation(route: Route, components: _Components) -> dict[str, Any]:
    answer = components._object(
        f"openapi_{route.operation}_resp",
        route.content
        | ({"last_update": "number"} if route.dated else {})
        | {"meta": META, "errors": ("list", ERROR), "warnings": ("list", WARNING)},
        ("meta", "errors", "warnings"),
    )
    content = {kind: {"schema": answer} for kind in ("application/json", "application/yaml")}
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.path.split("/")[1]],
        "parameters": [
            *[_parameter(Parameter(name, name), "path") for name in re.findall(r"\{(\w+)\}", route.path)],
            *[_parameter(parameter, "query") for parameter in route.query],
        ],
        "responses": {
            "200": {"description": route.summary, "content": content},
            "default": {"description": "what went wrong is in errors", "content": content},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {
            "content": {"application/json": {"schema": components.of(route.body)}},
            "required": True,
        }
    return operation


def _parameter(parameter: Parameter, place: str) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": place,
        "required": place == "path",
        "description": parameter.text,
        "schema": _PLAIN[parameter.kind],
    }
