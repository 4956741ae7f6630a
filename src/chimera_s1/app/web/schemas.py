"""The body of every error."""

from typing import Annotated

from msgspec import Meta, Struct


class ProblemView(Struct, frozen=True):
    """An error as RFC 9457 describes it."""

    type: Annotated[
        str,
        Meta(
            description="Link to the description of this kind of problem.",
            examples=["/schema#quotes.unknown"],
        ),
    ]
    title: Annotated[
        str,
        Meta(
            description="The kind of problem, for people.", examples=["No quote of this instrument"]
        ),
    ]
    status: Annotated[int, Meta(description="The HTTP status.", examples=[404])]
    detail: Annotated[
        str,
        Meta(description="What went wrong, and what to do.", examples=["no quote of spot/BTCUSDT"]),
    ]
    instance: Annotated[
        str, Meta(description="The path of the request.", examples=["/xchg/quotes/spot/BTCUSDT"])
    ]
    code: Annotated[
        str, Meta(description="The kind of problem, for programs.", examples=["quotes.unknown"])
    ]
