"""The settings in force, one row each."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from pydantic.fields import FieldInfo

from chimera_s1.app.service_settings import Settings, given_variables, load_settings, variable
from chimera_s1.app.settings.messages import MASK, is_secret
from chimera_s1.app.settings.secret_files import FILE_SUFFIX


class SettingOrigin(StrEnum):
    DEFAULT = "default"
    ENVIRONMENT = "environment"
    FILE = "file"


class EffectiveSetting(Struct, frozen=True):
    """One setting; *value* is `***` for a secret, empty without one; *rule* says what is valid."""

    name: str
    value: str
    origin: SettingOrigin
    group: str
    rule: str


def effective_settings(environ: Mapping[str, str]) -> tuple[EffectiveSetting, ...]:
    """Every setting, in the order of `Settings`.

    Raises:
        ConfigurationError: Values are wrong or names unknown.
    """
    settings = load_settings(environ)
    given = given_variables(environ)
    return tuple(
        _row(
            variable(attribute),
            field,
            given.get(variable(attribute)),
            from_file=attribute in settings.secret_files,
        )
        for attribute, field in Settings.model_fields.items()
    )


def _row(name: str, field: FieldInfo, given: str | None, *, from_file: bool) -> EffectiveSetting:
    value = given if given is not None else str(field.default or "")
    secret = is_secret(field)
    in_file = f"; or {name}{FILE_SUFFIX}, a file that holds it" if secret else ""
    return EffectiveSetting(
        name=name,
        value=MASK if secret and (value or from_file) else value,
        origin=_origin(given, from_file=from_file),
        group=str(field.title),
        rule=f"{field.description}{in_file}",
    )


def _origin(given: str | None, *, from_file: bool) -> SettingOrigin:
    if from_file:
        return SettingOrigin.FILE
    return SettingOrigin.DEFAULT if given is None else SettingOrigin.ENVIRONMENT
