"""Methods called with a JSON body and answered with one, wherever the body came from: the HTTP door, a relay.

Bodies are proto3 JSON in every spelling that protobuf reads; 64-bit integers are written as JSON numbers.
Errors are Connect's: an HTTP status and `{"code": "not_found", "message": "…"}`, here with `slurm` (Slurm's
phrase) and `refusal` where they are known.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.convert_queries import parse_json, reader
from packhorse.scheduler.service.failures import HTTP_STATUS, CallFailed, Code, error_body
from packhorse.scheduler.service.rpc import Method, Streaming, Unary


class Answer(NamedTuple):
    """An HTTP status and a JSON body."""

    status: int
    body: bytes


class JsonCalls:
    """A table of methods for callers who speak JSON; holds no state of its own.

    answered: told of every call of a known method, its name and code ("ok" or an error's).
    """

    def __init__(self, methods: Mapping[str, Method], answered: Callable[[str, str], None]) -> None:
        self._methods = methods
        self._decoders = {
            name: msgspec.json.Decoder(method.request, strict=False) for name, method in methods.items()
        }
        self._answered = answered
        self.encode = msgspec.json.Encoder().encode

    def method(self, name: str) -> Method | None:
        return self._methods.get(name)

    async def unary(self, method: Unary, principal: Principal, body: bytes) -> msgspec.Struct:
        """The method's answer. Raises PackhorseError."""
        return await method.call(principal, self._read(method, body))

    async def streaming(self, method: Streaming, principal: Principal, body: bytes) -> AsyncGenerator[Any]:
        """The method's answers. Raises PackhorseError where there will be none."""
        return await method.call(principal, self._read(method, body))

    def done(self, method: Unary, answer: msgspec.Struct) -> Answer:
        """What tells the caller of a call that succeeded."""
        self._answered(method.name, "ok")
        return Answer(200, self.encode(answer))

    def failed(self, name: str, failure: CallFailed) -> Answer:
        """What tells the caller of a call of `name` that did not. name: as the caller wrote it."""
        if name in self._methods:
            self._answered(name, failure.code.value)
        return Answer(HTTP_STATUS[failure.code], self.encode(error_body(failure)))

    def unknown(self, name: str) -> CallFailed:
        """There is no method of this name."""
        from difflib import get_close_matches  # only when somebody made a mistake

        near = get_close_matches(name, list(self._methods), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(sorted(self._methods))}"
        return CallFailed(Code.UNIMPLEMENTED, f'no method "{name}"{hint}')

    def _read(self, method: Method, body: bytes) -> Any:
        return decode(self._decoders[method.name], method.request, body)


def decode(decoder: msgspec.json.Decoder[Any], struct: type[msgspec.Struct], body: bytes) -> Any:
    """The message in a JSON body; raises CallFailed(INVALID_ARGUMENT) naming what is wrong and where.

    Spellings that only protobuf's own reader knows (snake_case names, enum numbers, nulls, URL-safe base64)
    are left to it.
    """
    try:
        return decoder.decode(body or b"{}")
    except msgspec.ValidationError as first:
        if str(first).startswith("Expected `object`, got") and "$" not in str(first):
            raise CallFailed(Code.INVALID_ARGUMENT, f"{struct.__name__}: {first}") from first
        try:
            return reader(struct)(parse_json(struct.__name__, body))
        except ValueError as second:
            # Of an unknown name ours may be a known one in the other spelling; of values ours says more.
            what = second if "unknown field" in str(first) else first
            raise CallFailed(Code.INVALID_ARGUMENT, f"{struct.__name__}: {what}") from second
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallFailed(Code.INVALID_ARGUMENT, f"{struct.__name__}: not JSON: {error}") from error
