"""What is read again, so that the proof of every contract goes on."""

import pytest

from chimera_s1.domain.errors import ExchangeRefusedError
from chimera_s1.domain.funding.coverage import RateCoverage
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import DAY_MS, HOUR_MS
from tests.unit.app.capabilities.funding.funding_rig import FundingRig
from tests.virtual_time import on_virtual_time

BEHIND = Symbol("BUSDT")


async def rig_with_one_behind(from_days: int, through_days: int) -> FundingRig:
    """All of 30 days is read; of `BEHIND` only a part is proven, in days before now."""
    rig = FundingRig({"AUSDT": 8, "BUSDT": 4, "CUSDT": 8}, history_days=30)
    await rig.backfills.run()
    now = rig.clock.now_ms()
    coverage = dict(await rig.store.coverage())
    rig.store.forget_coverage()
    behind = RateCoverage(
        symbol=BEHIND,
        verified_from=now - from_days * DAY_MS,
        verified_through=now - through_days * DAY_MS,
    )
    coverage[BEHIND] = behind
    await rig.store.extend_coverage([*coverage.values()])
    return rig


@pytest.mark.parametrize(
    ("from_days", "through_days"),
    [pytest.param(30, 11, id="joins"), pytest.param(400, 35, id="ends before the kept history")],
)
@on_virtual_time
async def test_a_contract_that_is_far_behind_is_read_alone(
    from_days: int, through_days: int
) -> None:
    """Its rows could not be read for some days, for example."""
    rig = await rig_with_one_behind(from_days, through_days)
    assert [gap.symbol for gap in (await rig.find_gaps.find()).gaps] == [BEHIND]

    assert "1 contract read alone" in await rig.completions.reread_slice()

    await rig.clock.sleep_ms(HOUR_MS)
    assert not (await rig.find_gaps.find()).gaps
    assert rig.exchange.requests["rates of one"] == 2
    assert "alone" not in await rig.completions.reread_slice()


@on_virtual_time
async def test_a_contract_that_the_exchange_refuses_to_show_delays_no_other() -> None:
    rig = await rig_with_one_behind(30, 11)
    rig.exchange.failures.append(ExchangeRefusedError("-1121 Invalid symbol."))

    assert (await rig.completions.reread_slice()).startswith("read 3 days")
