"""Completes the OpenAPI document that the framework builds from types.

A schema is described by the docstring of its type, not by the first field that uses it, and an
optional parameter is one that may be left out, not one that may be null.
"""

import inspect
from collections.abc import Iterable, Iterator

import msgspec
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPI, OpenAPIType, Reference, Schema

from chimera_s1.app.web.openapi_walk import operations


def describe_schemas(document: OpenAPI, handlers: Iterable[HTTPRouteHandler]) -> None:
    schemas = document.components.schemas or {}
    for each in set(_types_of(handlers)):
        if (schema := schemas.get(each.__name__)) is not None:
            schema.description = inspect.cleandoc(each.__doc__ or "")
    for _, _, operation in operations(document):
        for parameter in operation.parameters or ():
            if not isinstance(parameter, Reference) and isinstance(parameter.schema, Schema):
                parameter.schema = _without_null(parameter.schema)


def _types_of(handlers: Iterable[HTTPRouteHandler]) -> Iterator[type]:
    for handler in handlers:
        returned = handler.parsed_return_field
        fields = (returned, *returned.inner_types, *handler.parsed_fn_signature.parameters.values())
        specs = (handler.responses or {}).values()
        roots = [
            *(each.annotation for field in fields for each in (field, *field.inner_types)),
            *(spec.data_container for spec in specs),
        ]
        for root in roots:
            if isinstance(root, type):
                yield from _named_types(root)


def _named_types(root: type) -> Iterator[type]:
    """*root* and the types of its fields, if they are structures or enumerations."""
    pending = [msgspec.inspect.type_info(root)]
    while pending:
        match pending.pop():
            case msgspec.inspect.StructType(cls=cls, fields=fields):
                yield cls
                pending += [field.type for field in fields]
            case msgspec.inspect.EnumType(cls=cls):
                yield cls
            case msgspec.inspect.Metadata(type=inner):
                pending.append(inner)
            case (
                msgspec.inspect.VarTupleType(item_type=item)
                | msgspec.inspect.ListType(item_type=item)
            ):
                pending.append(item)
            case msgspec.inspect.UnionType(types=types):
                pending += types
            case _:
                pass


def _without_null(schema: Schema) -> Schema:
    kept = [
        each
        for each in schema.one_of or ()
        if isinstance(each, Reference) or each.type is not OpenAPIType.NULL
    ]
    if len(kept) != 1:
        return schema
    [only] = kept
    schema.one_of = None
    if isinstance(only, Reference):
        schema.all_of = [only]
        return schema
    schema.type = only.type
    schema.items = schema.items or only.items
    return schema
