"""The settings in force, one row each."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from pydantic.fields import FieldInfo

from chimera_s1.app.service_settings import Settings, given_variables, load_settings, variable
from chimera_s1.app.settings.messages import MASK, is_secret


class SettingOrigin(StrEnum):
    DEFAULT = "default"
    ENVIRONMENT = "environment"


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
    load_settings(environ)
    given = given_variables(environ)
    return tuple(
        _row(variable(attribute), field, given.get(variable(attribute)))
        for attribute, field in Settings.model_fields.items()
    )


def _row(name: str, field: FieldInfo, given: str | None) -> EffectiveSetting:
    value = given if given is not None else str(field.default or "")
    return EffectiveSetting(
        name=name,
        value=MASK if value and is_secret(field) else value,
        origin=SettingOrigin.DEFAULT if given is None else SettingOrigin.ENVIRONMENT,
        group=str(field.title),
        rule=str(field.description),
    )
