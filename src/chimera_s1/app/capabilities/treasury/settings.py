"""The settings of the treasury."""

from pydantic import ValidationInfo, field_validator

from chimera_s1.app.capabilities.treasury.reconciliation_schedule import ReconciliationPace
from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.settings.fields import number_setting, text_setting
from chimera_s1.app.settings.types import Amount, Directions, WholeNumber
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.treasury.events import TreasuryMode
from chimera_s1.domain.treasury.limits import TransferLimits
from chimera_s1.domain.treasury.reconciliation import ReconciliationTiming

CHECK_INTERVAL_MAX_MS = 60_000
ROUND_TO_FIRST_READ = 5
"""The interval of rounds, in waits until the first read: 10 s for 2 s."""

_GROUP = "Treasury"


class TreasurySettings(CoreSettings):
    """Limits of transfers, and the timing of reconciliation."""

    treasury_mode: TreasuryMode = text_setting(
        _GROUP,
        "wallet",
        "wallet, or subaccount: a master account, whose transfers carry our id",
        "subaccount",
    )
    treasury_directions: Directions = text_setting(
        _GROUP,
        "SPOT_TO_FUT,FUT_TO_SPOT",
        "SPOT_TO_FUT, FUT_TO_SPOT or both: the allowed directions",
        "SPOT_TO_FUT",
    )
    treasury_min: Amount = text_setting(_GROUP, "1", "USDT, smallest transfer", "1")
    treasury_max: Amount = text_setting(
        _GROUP, "10000", "USDT, largest transfer, at least S1_TREASURY_MIN", "10000"
    )
    treasury_daily_cap: Amount = text_setting(
        _GROUP, "50000", "USDT, most that is accepted on one UTC day, both directions", "50000"
    )
    treasury_execution_ms: WholeNumber = number_setting(
        _GROUP, 60_000, (0, 3_600_000), "ms, longest from acceptance by the exchange to execution"
    )
    treasury_history_lag_ms: WholeNumber = number_setting(
        _GROUP, 900_000, (0, 86_400_000), "ms, longest from execution to its row in the history"
    )
    treasury_clean_spread_ms: WholeNumber = number_setting(
        _GROUP,
        300_000,
        (0, 86_400_000),
        "ms, time without its movement in the histories before a transfer is FAILED",
    )
    treasury_look_ms: WholeNumber = number_setting(
        _GROUP,
        2_000,
        (50, CHECK_INTERVAL_MAX_MS),
        "ms until the histories are first read for an unknown outcome; later reads, one for all "
        "such transfers, are five times as far apart, at most a minute",
    )

    @field_validator("treasury_max")
    @classmethod
    def _max_not_below_min(cls, largest: Amount, info: ValidationInfo) -> Amount:
        if largest < info.data.get("treasury_min", largest):
            raise InvalidValueError("below S1_TREASURY_MIN")
        return largest

    @property
    def treasury_limits(self) -> TransferLimits:
        return TransferLimits(
            directions=self.treasury_directions,
            min=self.treasury_min,
            max=self.treasury_max,
            daily_cap=self.treasury_daily_cap,
        )

    @property
    def reconciliation_timing(self) -> ReconciliationTiming:
        """When a missing movement proves that a transfer has FAILED."""
        return ReconciliationTiming(
            execution_ms=self.treasury_execution_ms,
            history_lag_ms=self.treasury_history_lag_ms,
            clean_spread_ms=self.treasury_clean_spread_ms,
        )

    @property
    def reconciliation_pace(self) -> ReconciliationPace:
        """How often the histories are read."""
        interval_ms = min(self.treasury_look_ms * ROUND_TO_FIRST_READ, CHECK_INTERVAL_MAX_MS)
        return ReconciliationPace(self.treasury_look_ms, interval_ms)
