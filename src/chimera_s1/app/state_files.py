"""The state directory, and files of a running demo for other programs: `demo.env`, and a lock.

The lock is an flock, which the system releases however the demo ends: a `demo.env` without it was
left behind by a killed demo.
"""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from msgspec import Struct

from chimera_s1.adapters.redis.addresses import RedisAddress, parse_addresses
from chimera_s1.adapters.regular_file import SMALL_FILE_BYTES_MAX, read_regular
from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.domain.errors import ConfigurationError

SERVICE_FILE = "service.env"
"""Written by a running service: `S1_URL` and `S1_REDIS_ADDRESSES`."""


class DemoState(Struct, frozen=True):
    """The addresses in `demo.env`; *token* has all scopes, *sim_url* is the control plane,
    *s10_url* its S10.
    """

    url: str
    token: str
    redis_addresses: tuple[RedisAddress, ...]
    sim_url: str
    s10_url: str = ""

    def __repr__(self) -> str:
        return f"DemoState(url={self.url!r}, token=***)"


def prepare_state_dir(state_dir: Path) -> None:
    """Create *state_dir* if it is missing.

    Raises:
        ConfigurationError: It cannot be created or written.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=state_dir):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"{state_dir} cannot be written: {error.strerror}; "
            "set S1_STATE_DIR to a writable directory"
        ) from error


def tokens_file(state_dir: Path) -> Path:
    """The file with the hash of the demo's token."""
    return state_dir / "demo.tokens.json"


def demo_file(state_dir: Path) -> Path:
    return state_dir / "demo.env"


def write_demo_state(state_dir: Path, state: DemoState, settings: Mapping[str, str]) -> None:
    """Write `demo.env`, whole or not at all, readable by its owner only.

    *settings* are the `S1_*` variables of the demo's service, saved for `doctor`.
    """
    _write(_settings_file(state_dir), settings)
    lines = {
        "S1_URL": state.url,
        "S1_TOKEN": state.token,
        "S1_REDIS_ADDRESSES": ",".join(map(str, state.redis_addresses)),
        "SIM_URL": state.sim_url,
        "S10_URL": state.s10_url,
    }
    _write(demo_file(state_dir), lines)


def remove_demo_state(state_dir: Path) -> None:
    for path in (demo_file(state_dir), _settings_file(state_dir), tokens_file(state_dir)):
        path.unlink(missing_ok=True)


def read_demo_settings(state_dir: Path) -> dict[str, str]:
    """The `S1_*` variables of the running demo's service."""
    return read_env_file(_settings_file(state_dir))


def read_env_file(path: Path) -> dict[str, str]:
    """`KEY=VALUE` lines; raises `OSError`, also for what is no small regular file."""
    return parse_env_lines(read_regular(path, SMALL_FILE_BYTES_MAX).decode(errors="replace"))


def parse_env_lines(text: str) -> dict[str, str]:
    """Parse `KEY=VALUE` lines."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def read_demo_state(state_dir: Path) -> DemoState | None:
    """The demo running in *state_dir*, or None.

    Raises:
        ConfigurationError: `demo.env` cannot be read, or was left behind by a killed demo.
    """
    path = demo_file(state_dir)
    try:
        values = read_env_file(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    if not _is_locked(state_dir):
        raise ConfigurationError(
            f"{path} was left behind by a demo that was killed; start chimera-s1 demo again, "
            "or remove the file"
        )
    try:
        return DemoState(
            url=values["S1_URL"],
            token=values["S1_TOKEN"],
            redis_addresses=parse_addresses(values["S1_REDIS_ADDRESSES"]),
            sim_url=values["SIM_URL"],
            s10_url=values.get("S10_URL", ""),
        )
    except KeyError as error:
        raise ConfigurationError(f"{path} has no line {error.args[0]}=; remove the file") from error


@contextmanager
def demo_lock(state_dir: Path) -> Iterator[None]:
    """Lock *state_dir* for one demo, creating it if it is missing.

    Raises:
        ConfigurationError: It is not writable, or another demo runs there.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock_file(state_dir).open("ab")
    except OSError as error:
        raise ConfigurationError(
            f"{state_dir} cannot be written: {error.strerror}; name another with --state-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"a demo already runs in {state_dir}; stop it, or name another with --state-dir"
            ) from error
        yield


def _write(path: Path, lines: Mapping[str, str]) -> None:
    with replacing(path) as file:
        file.writelines(f"{name}={value}\n".encode() for name, value in lines.items())


def _settings_file(state_dir: Path) -> Path:
    return state_dir / "demo.settings"


def _is_locked(state_dir: Path) -> bool:
    try:
        with _lock_file(state_dir).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock_file(state_dir: Path) -> Path:
    return state_dir / "demo.lock"
