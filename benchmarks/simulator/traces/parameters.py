"""Named things with parameters, as people write them: `lublin:jobs=10000,seed=1`, `sia:duration_s=3600`."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from packhorse.scheduler.model.errors import PackhorseError


class ParameterError(PackhorseError):
    """A name or parameter cannot be understood: names the text, the parameter, and what is accepted."""


class Named(NamedTuple):
    """A name and its parameters as text, as they were written. text: the whole of it."""

    text: str
    name: str
    values: dict[str, str]

    def only(self, *accepted: str) -> None:
        """Raises ParameterError if there is a parameter of another name."""
        for key in self.values:
            if key not in accepted:
                what = f"accepted are {', '.join(accepted)}" if accepted else f"{self.name} takes none"
                raise ParameterError(f'"{self.text}": parameter "{key}" is not known; {what}')

    def whole(self, key: str, default: int, least: int = 0, most: int = 1 << 62) -> int:
        """A whole number; an exponent, as in 1e6, may be written."""
        number = self.number(key, default, least, most)
        if number != int(number):
            self.wrong(key, "a whole number")
        return int(self.values[key]) if self.values.get(key, "").isdecimal() else int(number)

    def number(self, key: str, default: float, least: float = 0.0, most: float = 1e18) -> float:
        """A number between least and most."""
        if key not in self.values:
            return default
        try:
            number = float(self.values[key])
        except ValueError:
            self.wrong(key, "a number")
        if not least <= number <= most:
            self.wrong(key, f"{least:g} to {most:g}")
        return number

    def word(self, key: str, default: str, accepted: tuple[str, ...]) -> str:
        """One of the accepted words."""
        word = self.values.get(key, default)
        if word not in accepted:
            self.wrong(key, f"one of {', '.join(accepted)}")
        return word

    def flag(self, key: str, default: bool = False) -> bool:
        """0 or 1."""
        return self.word(key, "1" if default else "0", ("0", "1")) == "1"

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Raises ParameterError about this parameter."""
        raise ParameterError(f'"{self.text}", {key}: "{self.values.get(key, "")}", expected {expected}')


def named(text: str) -> Named:
    """`NAME` or `NAME:KEY=VALUE,KEY=VALUE`. Raises ParameterError."""
    name, colon, rest = text.partition(":")
    values: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise ParameterError(f'"{text}": "{part}" is not KEY=VALUE')
        if key.strip() in values:
            raise ParameterError(f'"{text}": parameter "{key.strip()}" is there twice')
        values[key.strip()] = value.strip()
    return Named(text, name.strip(), values)
