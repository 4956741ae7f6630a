"""Reads the settings from `S1_*` variables, and checks all of them before anything starts.

`Settings` is frozen and does not read the process's environment; `load_settings` reads the given
mapping and reports every problem at once.
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from chimera_s1.app.capabilities.execution.settings import ExecutionSettings
from chimera_s1.app.capabilities.funding.settings import FundingSettings
from chimera_s1.app.capabilities.market.settings import MarketSettings
from chimera_s1.app.capabilities.treasury.settings import TreasurySettings
from chimera_s1.app.settings.core import PREFIX, CoreSettings
from chimera_s1.app.settings.messages import (
    invalid_value_message,
    is_secret,
    unknown_setting_message,
)
from chimera_s1.app.settings.secret_files import open_secret_files, secret_file_variables
from chimera_s1.domain.errors import ConfigurationError

CLIENT_NAMES = frozenset({"S1_URL", "S1_TOKEN"})
"""Variables for clients of the service, from `demo.env`; the service ignores them."""


def variable(field: str) -> str:
    """The environment variable of an attribute of `Settings`: `S1_HTTP_PORT` for `http_port`."""
    return PREFIX + field.upper()


class Settings(ExecutionSettings, FundingSettings, TreasurySettings, MarketSettings):
    """The settings of all capabilities."""


_S = TypeVar("_S", bound=CoreSettings)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the `S1_*` variables of *environ*; an empty one counts as not set.

    Raises:
        ConfigurationError: Values are wrong or names unknown; the text lists all of them.
    """
    return read_settings(environ, Settings)


def read_settings(environ: Mapping[str, str], of: type[_S]) -> _S:
    """As `load_settings`, into the settings class *of*."""
    given = given_variables(environ)
    known = {variable(field): field for field in of.model_fields}
    of_files = secret_file_variables(of.model_fields, PREFIX)
    names = known.keys() | of_files.keys()
    problems = [unknown_setting_message(name, names) for name in sorted(given.keys() - names)]
    secrets = open_secret_files(given, of_files)
    problems += secrets.problems
    values = {known[name]: text for name, text in given.items() if name in known}
    values |= {field: file.read() for field, file in secrets.files.items()}
    try:
        settings = of.model_validate(values)
    except ValidationError as error:
        problems += [
            _problem(detail, values, of)
            for detail in error.errors(include_input=False)
            # A secret whose file cannot be used is not missing.
            if not (secrets.problems and is_secret(of.model_fields[str(detail["loc"][0])]))
        ]
    if problems:
        count = "1 setting is" if len(problems) == 1 else f"{len(problems)} settings are"
        raise ConfigurationError("\n  ".join([f"{count} wrong:", *problems]))
    settings.keep_secret_files(secrets.files)
    return settings


def given_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The non-empty `S1_*` variables of *environ*, without those for clients."""
    return {
        name: text
        for name, text in environ.items()
        if name.startswith(PREFIX) and name not in CLIENT_NAMES and text.strip()
    }


def _problem(detail: ErrorDetails, values: Mapping[str, str], of: type[CoreSettings]) -> str:
    field = str(detail["loc"][0])
    return invalid_value_message(variable(field), values.get(field), of.model_fields[field], detail)
