"""Files in deploy/ name settings, commands and credentials that exist."""

from pathlib import Path

from chimera_s1.app.service_settings import Settings, variable
from chimera_s1.app.settings.core import PREFIX
from chimera_s1.app.settings.secret_files import secret_file_variables

UNIT = Path(__file__).parents[2] / "deploy/systemd/chimera-s1.service"


def values_of(name: str) -> list[str]:
    """Every value of a directive, in order."""
    lines = UNIT.read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def test_the_unit_sets_only_settings_that_exist() -> None:
    known = {variable(field) for field in Settings.model_fields}
    known |= secret_file_variables(Settings.model_fields, PREFIX).keys()
    names = {text.partition("=")[0] for text in values_of("Environment")}
    assert names
    assert names <= known


def test_every_credential_of_the_unit_is_used() -> None:
    loaded = {f"%d/{text.partition(':')[0]}" for text in values_of("LoadCredential")}
    used = {text.partition("=")[2] for text in values_of("Environment") if "_FILE=" in text}
    assert loaded == used


def test_the_unit_gives_a_stop_more_time_than_the_service_takes() -> None:
    """And does not repeat a start that a wrong setting has ended."""
    assert values_of("RestartPreventExitStatus") == ["2"]
    assert int(values_of("TimeoutStopSec")[0]) > 15
    assert values_of("LimitCORE") == ["0"]
