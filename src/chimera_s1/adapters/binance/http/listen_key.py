"""The listen key of the futures' private stream: the one thing that is changed without a signature.

Source: USD-M "Start / Keepalive / Close User Data Stream". Each request may be repeated: POST
returns the key that exists and prolongs it, and PUT and DELETE name none.
"""

from enum import StrEnum

PATH = "/fapi/v1/listenKey"


class ListenKeyMethod(StrEnum):
    POST = "POST"
    """Make one, valid for 60 min, or prolong the one that exists."""
    PUT = "PUT"
    """Prolong it by 60 min."""
    DELETE = "DELETE"
    """End it, and its streams."""
