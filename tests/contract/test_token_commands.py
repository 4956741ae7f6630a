"""`chimera-s1 tokens` as real processes: a token is shown once, on standard output only."""

import json
import stat
from pathlib import Path

import pytest

from chimera_s1.domain.access.tokens import digest_of, kid_of
from tests.processes import finished

DAY_MS = 86_400_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


async def create(file: Path, *options: str) -> str:
    code, out, err = await finished("tokens", "create", "--file", str(file), *options)
    assert code == 0, err
    return out.strip()


async def test_a_token_is_made_listed_and_revoked(file: Path) -> None:
    """The file has its hash; the list has neither token nor hash."""
    environment = {"S1_API_TOKENS_FILE": str(file)}
    making = ("--actor", "treasury-bot", "--scope", "read,orders:trade", "--scope", "read")
    code, out, err = await finished("tokens", "create", *making, environment=environment)
    token = out.removesuffix("\n")
    kid = kid_of(token)
    assert (code, err.count("\n")) == (0, 1)
    assert kid is not None
    assert f"token {kid} of treasury-bot for read, orders:trade, valid for ever" in err
    assert token not in err

    digest = digest_of(token)
    kept = read(file)
    assert digest in kept
    assert token not in kept

    code, out, err = await finished("tokens", "list", environment=environment)
    [cells] = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert cells[:3] == [kid, "treasury-bot", "read,orders:trade"]
    assert cells[4:] == ["never", "valid"]

    code, out, err = await finished("tokens", "revoke", kid, environment=environment)
    assert (code, out, err) == (0, "", f"token {kid} of treasury-bot is revoked\n")
    _, again, _ = await finished("tokens", "list", "--json", environment=environment)
    assert json.loads(again)[0]["state"] == "revoked"
    assert not [text for text in (out, err, again) if token in text or digest in text]


async def test_a_token_may_expire(file: Path) -> None:
    await create(file, "--actor", "bot", "--scope", "read", "--days", "2")

    [row] = json.loads(read(file))["tokens"]
    assert row["not_after"] - row["created_at"] == 2 * DAY_MS
    assert stat.S_IMODE(mode(file)) == 0o600


async def test_each_token_is_different(file: Path) -> None:
    tokens = {await create(file, "--actor", "bot", "--scope", "read") for _ in range(2)}

    assert len(tokens) == 2
    assert len(json.loads(read(file))["tokens"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "--actor", "bot", "--scope", "all"), "'all' is not one of read, treasury:tr"),
        (("create", "--actor", "a bot", "--scope", "read"), "'a bot' is not an actor"),
        (("create", "--actor", "bot", "--scope", "read", "--days", "0"), "--days"),
        (("create", "--actor", "bot"), "--scope"),
        (("list",), "does not exist; create it with chimera-s1 tokens create"),
        (("revoke", "abcd"), "does not exist; create it with chimera-s1 tokens create"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
async def test_a_wrong_argument_gives_exit_code_2_and_makes_no_file(
    file: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = await finished("tokens", *arguments, "--file", str(file))

    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not exists(file)


async def test_revoke_refuses_a_whole_token_without_quoting_it(file: Path) -> None:
    token = await create(file, "--actor", "bot", "--scope", "read")

    code, out, err = await finished("tokens", "revoke", token, "--file", str(file))

    assert (code, out) == (2, "")
    assert "has no token of that kid; chimera-s1 tokens list" in err
    assert token not in err


async def test_without_a_token_file_the_error_says_how_to_name_one() -> None:
    code, out, err = await finished("tokens", "list")

    assert (code, out) == (2, "")
    assert err.startswith("error: no token file: name it with --file or S1_API_TOKENS_FILE")


async def test_a_service_beyond_loopback_does_not_start_without_tokens(tmp_path: Path) -> None:
    environment = {"S1_HTTP_HOST": "0.0.0.0", "S1_HTTP_PORT": "0", "S1_STATE_DIR": str(tmp_path)}

    code, out, err = await finished("serve", environment=environment)

    assert (code, out) == (2, "")
    assert "S1_HTTP_HOST=0.0.0.0 can be reached from other machines" in err


async def test_a_service_with_a_damaged_token_file_does_not_start(
    file: Path, tmp_path: Path
) -> None:
    write(file, "{")
    environment = {
        "S1_API_TOKENS_FILE": str(file),
        "S1_HTTP_PORT": "0",
        "S1_STATE_DIR": str(tmp_path),
    }

    code, out, err = await finished("serve", environment=environment)

    assert (code, out) == (2, "")
    assert f"error: token file {file} is damaged" in err


def read(file: Path) -> str:
    return file.read_text()


def write(file: Path, text: str) -> None:
    file.write_text(text)


def exists(file: Path) -> bool:
    return file.exists()


def mode(file: Path) -> int:
    return file.stat().st_mode
