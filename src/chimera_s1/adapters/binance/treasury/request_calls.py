"""What each request of the treasury spends: weights of Binance, wallet, sub-account and USD-M."""

from chimera_s1.adapters.binance import income
from chimera_s1.adapters.binance.http.request_limits import (
    sapi_ip_weight,
    sapi_uid_weight,
    spot_weight,
)
from chimera_s1.domain.operations.request_bucket import Priority
from chimera_s1.domain.operations.request_budget import RequestCall

# The body is signed already, and its timestamp ages: a transfer without room is planned again.
WALLET_TRANSFER = RequestCall(
    "treasury.transfer", Priority.MONEY, sapi_uid_weight(300), patience_ms=0
)
SUBACCOUNT_TRANSFER = RequestCall(
    "treasury.transfer", Priority.MONEY, sapi_uid_weight(360), patience_ms=0
)
HISTORY = RequestCall("treasury.history", Priority.MONEY, sapi_ip_weight(1))
INCOME = RequestCall("treasury.income", Priority.MONEY, income.CHARGES)
ACCOUNT = RequestCall("treasury.account", Priority.MONEY, spot_weight(20))
KEY_PERMISSIONS = RequestCall("treasury.key", Priority.MONEY, sapi_ip_weight(1))
SYSTEM_STATUS = RequestCall("treasury.status", Priority.MONEY, sapi_ip_weight(1))
