"""Frozen values whose fields are checked when they are made, by whoever makes them.

The base of settings and scripts. A msgspec Struct checks what is decoded, but not what is built in code; here both go
the same way, so that `Settings(turn_hold_ms=-1)` is refused like a wrong line in a file. Text from an environment is
taken for numbers and truths.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self, get_type_hints

import msgspec

from clara_kit.core.errors import ClaraError
from clara_kit.core.text import whole

_NUMBERS = frozenset((int, float, bool, type(None)))


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Raises `error`, which names each field that is wrong."""

    error: ClassVar[type[ClaraError]] = ClaraError
    what: ClassVar[str] = "A value is wrong"
    hint: ClassVar[str] = ""

    def __post_init__(self) -> None:
        wrong = []
        for name, kind in _kinds(type(self)).items():
            value = getattr(self, name)
            try:
                taken = msgspec.convert(value, kind, strict=False, from_attributes=True)
                taken = taken if type(taken) in _NUMBERS else whole(taken)
            except (msgspec.ValidationError, ValueError) as exc:
                wrong.append(f"{name}: {exc}")
            else:
                if taken is not value:
                    msgspec.structs.force_setattr(self, name, taken)
        wrong += [] if wrong else self.problems()
        self._raise(wrong)

    @classmethod
    def _raise(cls, wrong: list[str]) -> None:
        if wrong:
            where = f"$.{wrong[0].split(':')[0]}"
            raise cls.error(f"{cls.what}. {'; '.join(wrong)}.", hint=cls.hint, where=where)

    def problems(self) -> list[str]:
        """What is wrong with the fields together; each is right by itself."""
        return []

    @classmethod
    def model_validate(cls, data: Mapping[str, Any]) -> Self:
        """One of plain data; unknown fields are refused by name."""
        unknown = [f"{name}: Extra inputs are not permitted" for name in data if name not in cls.__struct_fields__]
        needed = [f"{name}: is needed" for name in _needed(cls) if name not in data]
        cls._raise(unknown + needed)
        return cls(**data)

    def model_dump(self, mode: str = "json") -> dict[str, Any]:
        """Plain data, as JSON has it."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain


@cache
def _kinds(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in cls.__struct_fields__}  # type: ignore[attr-defined]


@cache
def _needed(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(cls) if field.required)
