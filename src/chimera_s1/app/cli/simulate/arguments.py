"""Parses the arguments of `simulate`."""

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

from chimera_s1.adapters.regular_file import SMALL_FILE_BYTES_MAX, read_regular
from chimera_s1.adapters.simulator.config import ApiKey, HeldPosition, S10Config
from chimera_s1.adapters.simulator.faults.scenario import Scenario, parse_scenario
from chimera_s1.app.settings.types import parse_nodes
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError

_USDT_MAX = 10**15
_POSITION = re.compile(r"([^\s=:,]{1,40})=(-?[0-9]{1,9}(?:\.[0-9]{1,8})?)(?::([A-Z0-9]{1,16}))?")
_KEY_FORM = re.compile(r"[A-Za-z0-9]{1,128}")


def read_symbols(text: str) -> int | tuple[str, ...]:
    """`--symbols`: a number from 1, or names quoted in USDT.

    Raises:
        ConfigurationError: It is neither.
    """
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    names = tuple(name.strip().upper() for name in text.split(","))
    wrong = [name for name in names if not name.endswith("USDT") or name == "USDT"]
    if wrong:
        raise ConfigurationError(
            f"--symbols: {wrong[0]!r} is not a symbol quoted in USDT; write a number from 1, or "
            "names separated by commas, like BTCUSDT,ETHUSDT"
        )
    return names


def read_scenario(path: Path) -> Scenario:
    """`--scenario`.

    Raises:
        ConfigurationError: The file cannot be read, or is not a scenario.
    """
    try:
        return parse_scenario(read_regular(path, SMALL_FILE_BYTES_MAX))
    except OSError as error:
        raise ConfigurationError(f"--scenario: {path}: {error.strerror}") from error
    except InvalidValueError as error:
        raise ConfigurationError(f"--scenario: {path}: {error}") from error


def read_usdt(option: str, text: str) -> Decimal:
    """`--spot-usdt` or `--fut-usdt`.

    Raises:
        ConfigurationError: It is not an amount, too large, or has more than 8 decimals.
    """
    try:
        amount = Decimal(text)
        if amount.is_finite() and 0 <= amount <= _USDT_MAX and amount == round(amount, 8):
            return amount
    except InvalidOperation:
        pass
    raise ConfigurationError(
        f"{option}: {text!r} is not an amount of USDT; write one from 0 to {_USDT_MAX} with at "
        "most 8 decimals, like 10000"
    )


def read_positions(text: str) -> tuple[HeldPosition, ...]:
    """`--positions`.

    Raises:
        ConfigurationError: A part of it is no position.
    """
    positions = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _POSITION.fullmatch(part)
        if found is None:
            raise ConfigurationError(
                f"--positions: {part!r} is not a position; write the symbol, =, an amount of the "
                "base asset and, if funding is in another asset, a colon and that: ETHUSDT=-2:BNB"
            )
        symbol, amount, asset = found.groups(default="")
        positions.append(HeldPosition(symbol.upper(), Decimal(amount), asset))
    return tuple(positions)


def read_key(key: str, secret: str) -> ApiKey:
    """`--api-key` and `--api-secret`.

    Raises:
        ConfigurationError: The key has other characters than Binance's, or the secret is empty.
    """
    if _KEY_FORM.fullmatch(key) is None:
        raise ConfigurationError(f"--api-key: {key!r} is not an API key; write letters and digits")
    if not secret:
        raise ConfigurationError("--api-secret is empty; write the secret of --api-key")
    return ApiKey(key, secret)


def read_s10(*, wanted: bool, port: int, redis: str) -> S10Config | None:
    """`--s10`, `--s10-port` and `--s10-redis`.

    Raises:
        ConfigurationError: A port or Redis without `--s10`, or addresses that are not host:port.
    """
    if not wanted:
        if port or redis:
            raise ConfigurationError("--s10-port and --s10-redis need --s10")
        return None
    if redis:
        try:
            parse_nodes(redis)
        except InvalidValueError as error:
            raise ConfigurationError(f"--s10-redis: {error}") from error
    return S10Config(port=port, redis=redis)
