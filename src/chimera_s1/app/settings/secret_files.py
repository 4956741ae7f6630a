"""`S1_..._FILE`: a secret setting that is given as the name of a file that holds it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from pydantic.fields import FieldInfo

from chimera_s1.adapters.system.secret_file import SecretFile
from chimera_s1.app.settings.messages import is_secret
from chimera_s1.domain.errors import InvalidValueError

FILE_SUFFIX = "_FILE"


class GivenSecrets(Struct, frozen=True):
    """The files that could be read, by attribute, and what is wrong with the others."""

    files: Mapping[str, SecretFile]
    problems: tuple[str, ...]


def secret_file_variables(fields: Mapping[str, FieldInfo], prefix: str) -> dict[str, str]:
    """`{"S1_REDIS_PASS_FILE": "redis_pass", ...}`"""
    return {
        f"{prefix}{field.upper()}{FILE_SUFFIX}": field
        for field, info in fields.items()
        if is_secret(info)
    }


def open_secret_files(given: Mapping[str, str], variables: Mapping[str, str]) -> GivenSecrets:
    """Read the files that *given* names; *variables* is from `secret_file_variables`."""
    files: dict[str, SecretFile] = {}
    problems: list[str] = []
    for name, field in _named(given, variables):
        direct = name.removesuffix(FILE_SUFFIX)
        if direct in given:
            problems.append(f"{name} and {direct} are both set; remove one of them")
            continue
        try:
            files[field] = SecretFile(name, Path(given[name]).absolute())
        except InvalidValueError as error:
            problems.append(f"{name}: {error}")
    return GivenSecrets(files, tuple(problems))


def _named(given: Mapping[str, str], variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, field) for name, field in sorted(variables.items()) if name in given)
