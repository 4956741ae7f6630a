"""How a setting is declared: its group, its default as a user would write it, its rule,
an example.
"""

from typing import Any

from pydantic import Field


def text_setting(group: str, default: str | None, rule: str, example: str) -> Any:  # noqa: ANN401  (what pydantic.Field returns)
    """A setting whose default is written as a user would write it, and read by the same parser."""
    return Field(default, title=group, description=rule, examples=[example])


def number_setting(group: str, default: int, limits: tuple[int, int], meaning: str) -> Any:  # noqa: ANN401  (what pydantic.Field returns)
    """A whole number between *limits*."""
    low, high = limits
    return Field(
        str(default),
        title=group,
        description=f"{low} to {high}: {meaning}",
        examples=[str(default)],
        ge=low,
        le=high,
    )
