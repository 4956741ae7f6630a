"""The parameters that routes declare: their names, and what a value must be."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg, QueryParameter
from litestar.typing import FieldDefinition

from chimera_s1.domain.errors import InvalidValueError

_Parsed = TypeVar("_Parsed")

_BODY_PARAMETERS = {"data", "body"}
"""Parameters that Litestar fills from the body."""


def is_options(handler: BaseRouteHandler) -> bool:
    """True for the handlers that Litestar adds, which show the methods of a path."""
    return isinstance(handler, HTTPRouteHandler) and handler.http_methods == {HttpMethod.OPTIONS}


def is_post(handler: BaseRouteHandler) -> bool:
    return isinstance(handler, HTTPRouteHandler) and HttpMethod.POST in handler.http_methods


def takes_body(handler: BaseRouteHandler) -> bool:
    return bool(handler.parsed_fn_signature.parameters.keys() & _BODY_PARAMETERS)


def query_parameters(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """By the names that callers write; a route declares each with `QueryParameter`."""
    return {
        declared.name or field: definition
        for field, definition in handler.parsed_fn_signature.parameters.items()
        if isinstance(declared := definition.kwarg_definition, QueryParameter)
    }


def written_name(handler: BaseRouteHandler, field: str) -> str:
    """The name that callers write for the argument *field*, such as `state` for `status`."""
    definition = handler.parsed_fn_signature.parameters.get(field)
    declared = definition.kwarg_definition if definition is not None else None
    name = declared.name if isinstance(declared, ParameterKwarg) else None
    return name or field


def what_to_send(handler: BaseRouteHandler, field: str) -> str | None:
    """The values of the argument *field* in words; None if its type does not tell."""
    definition = handler.parsed_fn_signature.parameters.get(field)
    if definition is None:
        return None
    for each in definition.inner_types or (definition,):
        if isinstance(each.annotation, type) and issubclass(each.annotation, Enum):
            return f"send one of {', '.join(str(member.value) for member in each.annotation)}"
    if definition.annotation is bool:
        return "send true or false"
    declared = definition.kwarg_definition
    if definition.annotation is int and isinstance(declared, ParameterKwarg):
        return f"send a whole number from {declared.ge} to {declared.le}"
    return None


def parse_value(name: str, parse: Callable[[str], _Parsed], text: str) -> _Parsed:
    """What *parse* makes of *text*; its error then names the parameter.

    Raises:
        InvalidValueError: *text* is not a value of *name*.
    """
    try:
        return parse(text)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name}: {error}") from error
