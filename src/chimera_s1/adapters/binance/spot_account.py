"""The account of the API key: `GET /api/v3/account`, weight 20."""

from msgspec import Struct

from chimera_s1.adapters.binance.http.signing import Parameters

PATH = "/api/v3/account"
PARAMETERS: Parameters = (("omitZeroBalances", "true"),)
"""The balances are not used; without this the reply lists several hundred assets."""


class SpotAccount(Struct, frozen=True):
    uid: int
