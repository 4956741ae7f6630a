"""The settings of funding."""

from chimera_s1.app.settings.core import CoreSettings
from chimera_s1.app.settings.fields import number_setting
from chimera_s1.app.settings.types import WholeNumber


class FundingSettings(CoreSettings):
    """How much of the funding history is kept complete."""

    funding_days: WholeNumber = number_setting(
        "Funding",
        90,
        (1, 3_650),
        "days of funding history that are read at the first start, and again in the course of each "
        "week; without perp in S1_VENUES none",
    )
