"""The operations of an OpenAPI document."""

from collections.abc import Iterator

from litestar.openapi.spec import OpenAPI, Operation

METHODS = ("get", "post", "put", "patch", "delete")


def operations(document: OpenAPI) -> Iterator[tuple[str, str, Operation]]:
    """Method, path and operation, of each."""
    for path, item in (document.paths or {}).items():
        for method in METHODS:
            operation: Operation | None = getattr(item, method)
            if operation is not None:
                yield method, path, operation
