"""Messages about wrong settings: the name, the given value, the rule and an example."""

from collections.abc import Iterable

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from chimera_s1.app.near_name import near_name

MASK = "***"


def unknown_setting_message(name: str, known: Iterable[str]) -> str:
    """`S1_SYMBOL: no such setting; did you mean S1_SYMBOLS?`"""
    near = near_name(name, known)
    hint = f"did you mean {near}?" if near else "chimera-s1 config lists all of them"
    return f"{name}: no such setting; {hint}"


def invalid_value_message(
    name: str, given: str | None, field: FieldInfo, detail: ErrorDetails
) -> str:
    """`S1_HTTP_PORT='80a': '80a' is not a whole number. Rule: ... Example: S1_HTTP_PORT=8080`

    Args:
        name: The variable.
        given: Its text; None where it is not set.
        field: Its declaration in `Settings`.
        detail: The error of pydantic.
    """
    # An @ may follow a user and a password, which the reason would quote.
    hidden = given is not None and (is_secret(field) or "@" in given)
    shown = f"{name} is not set" if given is None else f"{name}={MASK if hidden else repr(given)}"
    cause = detail.get("ctx", {}).get("error") if detail["type"] == "value_error" else None
    reason = f"{shown}: {cause}" if cause is not None and not hidden else shown
    example = (field.examples or [""])[0]
    return f"{reason}. Rule: {field.description}. Example: {name}={example}"


def is_secret(field: FieldInfo) -> bool:
    """True for a setting whose value is never shown."""
    return bool(field.annotation == (SecretStr | None))
