"""The `Date` of a reply: the exchange's clock, to the second."""

from email.utils import parsedate_to_datetime


def http_date_ms(text: str) -> int | None:
    """The start of the second that *text* names; None if it names none."""
    try:
        return int(parsedate_to_datetime(text).timestamp()) * 1000 if text else None
    except (ValueError, OverflowError):
        return None
