"""One account, several ledgers: real services, each on its own SQLite, one exchange, one Redis."""

from chimera_s1.app.stores import SQLITE_FILE
from tests.contract.service_process import redis_at, service_process
from tests.contract.treasury_service import ACCOUNT, TreasuryDeployment


async def test_one_key_moves_money_once_although_two_ledgers_are_asked(
    site: TreasuryDeployment,
) -> None:
    """The second installation is RED, accepts nothing and names both; the first one works on."""
    other = site.beside("second")
    async with site.serving() as desk, other.serving() as second:
        first = await desk.transferred("t1", "25")
        again = await second.transfer("t1", "25")
        health = await second.read_treasury_health()
        assert (await desk.read_treasury_health())["level"] == "GREEN"
    ids = await site.installation_id(), await other.installation_id()

    assert first["result"] == "OK"
    assert (again.status_code, again.json()["code"]) == (503, "treasury.account")
    assert again.json()["result"] == "PENDING"  # FAIL would mean that no money moves
    assert again.headers["Retry-After"]
    assert health["level"] == "RED"
    for text in (health["detail"], again.json()["detail"]):
        assert f"claimed by installation {ids[0]}, and this ledger is installation {ids[1]}" in text
    assert await site.moved() == ["SPOT 25"]


async def test_a_deleted_ledger_does_not_send_a_finished_transfer_again(
    site: TreasuryDeployment,
) -> None:
    """Beside its -wal a new ledger is refused; without it, the claim names the old one."""
    async with site.serving() as desk:
        assert (await desk.transferred("t1", "25"))["result"] == "OK"
        await desk.kill()
    before = await site.installation_id()
    path = site.state_dir / SQLITE_FILE
    path.unlink()

    async with service_process(site.state_dir, site.environ()) as refused:
        assert await refused.ended() == 2
        assert f"missing or empty beside a left-over {SQLITE_FILE}-wal" in refused.output
    for part in ("-wal", "-shm"):
        path.with_name(f"{SQLITE_FILE}{part}").unlink()
    async with site.serving() as desk:
        again = await desk.transfer("t1", "25")
        assert (again.status_code, again.json()["code"]) == (503, "treasury.account")
        assert f"claimed by installation {before}" in again.json()["detail"]

    assert await site.moved() == ["SPOT 25"]


async def test_a_new_ledger_asks_an_operator_about_movements_it_cannot_explain(
    site: TreasuryDeployment,
) -> None:
    """A recreated container whose Redis was flushed too: the account's history still knows."""
    async with site.serving() as desk:
        assert (await desk.transferred("t1", "25"))["result"] == "OK"
        await site.wait_until_idle()
    async with redis_at(site.node.address.port) as redis:
        await redis.delete(f"s1:account:{ACCOUNT}")
    recreated = site.beside("recreated")
    async with recreated.serving() as desk:
        again = await desk.transfer("t1", "25")
        assert (again.status_code, again.json()["code"]) == (503, "treasury.account")
        assert "this ledger does not know" in again.json()["detail"]
        assert await site.moved() == ["SPOT 25"]

        code, out, err = await recreated.command("ledger", "take-account")
        assert (code, out.splitlines()[-1]) == (1, "Take the account for this ledger? [y/N]: "), err
        assert "this ledger does not know" in (await desk.read_treasury_health())["detail"]

        code, out, err = await recreated.command("ledger", "take-account", "--yes")
        assert code == 0, err
        assert "claimed by   no installation" in out
        await desk.service.logged(f"account {ACCOUNT} is claimed by this installation")
        assert (await desk.transferred("t2", "26"))["result"] == "OK"

    assert await site.moved() == ["SPOT 25", "SPOT 26"]


async def test_an_account_is_taken_for_an_old_backup_only_if_that_is_accepted(
    site: TreasuryDeployment,
) -> None:
    """The recorded head is the only proof, and taking the account erases it."""
    key = f"s1:account:{ACCOUNT}:{await site.installation_id()}"
    async with redis_at(site.node.address.port) as redis:
        await redis.set(key, f"7 {'f' * 64}")

        code, out, err = await site.command("ledger", "take-account", "--yes")
        assert code == 2
        for text in (out, err):
            assert "this ledger lacks commit 7 (hash ffffffffffff)" in text
        assert "--accept-missing-commits" in err
        assert await redis.exists(key)

        accepted = ("--yes", "--accept-missing-commits")
        code, out, err = await site.command("ledger", "take-account", *accepted)
        assert code == 0, err
        assert "this ledger lacks commit 7" in out
        assert not await redis.exists(key)
