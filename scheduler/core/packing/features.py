"""Feature expressions (`--constraint`): `a&b|c`, `(a|b)&c`, `[a|b]`.

`&` binds tighter than `|`. `[a|b]` is Slurm's "all nodes of the job alike": one of the alternatives in
brackets for the whole job; `alternatives` lists them. Counts (`a*2`) and the like are refused, since
ignoring them would give a job other nodes than it asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from packhorse.scheduler.model.errors import BadValue

Test = Callable[[Collection[str]], bool]

_PUNCTUATION = "&|()[]"
_REFUSED = set("*!,;<>=+ \t\"'")


def parse(text: str) -> Test:
    """Whether a node's features satisfy the expression. BadValue if it cannot be read."""
    return _Parser(text).whole()


def alternatives(text: str) -> tuple[str, ...]:
    """The expressions of which every node of a job must satisfy the same one; usually just the text itself.

    Only an expression that is one bracket as a whole has several; what cannot be read comes back as it is.
    """
    inner = text.strip()
    if not (inner.startswith("[") and inner.endswith("]")) or "]" in inner[:-1]:
        return (text,)
    parts, depth, start = [], 0, 1
    for i, c in enumerate(inner):
        depth += (c == "(") - (c == ")")
        if (c == "|" and depth == 0) or i == len(inner) - 1:
            parts.append(inner[start:i])
            start = i + 1
    return tuple(parts)


def words(text: str) -> list[str]:
    """The features that the expression names, in order of appearance. BadValue as for parse."""
    parse(text)
    return list(dict.fromkeys(t for t in _tokens(text) if t not in _PUNCTUATION))


def _tokens(text: str) -> list[str]:
    out: list[str] = []
    word = ""
    for c in text.strip() + "\0":
        if c in _PUNCTUATION or c == "\0":
            if word:
                out.append(word)
            word = ""
            if c != "\0":
                out.append(c)
        elif c in _REFUSED:
            raise BadValue(f'features "{text}": "{c}" is not understood; use names, & and |, ( ) and [ ]')
        else:
            word += c
    return out


class _Parser:
    """Recursive descent over the tokens; at: the next one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    def whole(self) -> Test:
        test = self.either()
        if self.at != len(self.tokens):
            raise self.wrong(f'"{self.tokens[self.at]}" is not expected')
        return test

    def either(self) -> Test:
        tests = [self.both()]
        while self.next_is("|"):
            tests.append(self.both())
        if len(tests) == 1:
            return tests[0]
        return lambda features: any(test(features) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.next_is("&"):
            tests.append(self.one())
        if len(tests) == 1:
            return tests[0]
        return lambda features: all(test(features) for test in tests)

    def one(self) -> Test:
        for opening, closing in (("(", ")"), ("[", "]")):
            if self.next_is(opening):
                test = self.either()
                if not self.next_is(closing):
                    raise self.wrong(f'"{closing}" is missing')
                return test
        if self.at == len(self.tokens) or self.tokens[self.at] in _PUNCTUATION:
            raise self.wrong("a feature name is missing")
        name = self.tokens[self.at]
        self.at += 1
        return lambda features: name in features

    def next_is(self, token: str) -> bool:
        """Whether the next token is this one, going past it if so."""
        if self.at < len(self.tokens) and self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def wrong(self, why: str) -> BadValue:
        return BadValue(f'features "{self.text}": {why}')
