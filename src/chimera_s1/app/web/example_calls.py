"""An example of each operation, for /schema and for readers of the OpenAPI document: a curl line,
and what it answers. Both are made of the examples that parameters and fields declare.
"""

import json
import shlex
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlencode

from litestar.openapi.spec import (
    Example,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
)

from chimera_s1.app.web.openapi_walk import operations

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


def add_examples(document: OpenAPI) -> None:
    """Add a curl line to each description, and an example to each reply that is JSON."""
    schemas = document.components.schemas or {}
    for method, path, operation in operations(document):
        for response in (operation.responses or {}).values():
            if isinstance(response, OpenAPIResponse):
                _add_reply(response, schemas)
        line = curl_line(method, path, operation)
        operation.description = f"{operation.description or ''}\n\n```sh\n{line}\n```"


def curl_line(method: str, path: str, operation: Operation) -> str:
    """A command for a shell where `S1_URL` and `S1_TOKEN` are set."""
    parameters = [each for each in operation.parameters or () if isinstance(each, Parameter)]
    values = {each.name: value for each in parameters if (value := _shown(each)) is not None}
    query = {each.name: values[each.name] for each in _of("query", parameters, values)}
    url = path.format_map({name: quote(str(value)) for name, value in values.items()})
    if query:
        url += f"?{urlencode(query)}"
    options = ["-sN" if _streams(operation) else "-s"]
    if method != "get":
        options.append(f"-X {method.upper()}")
    if operation.security:
        options.append('-H "Authorization: Bearer $S1_TOKEN"')
    options += [
        f'-H "{each.name}: {values[each.name]}"' for each in _of("header", parameters, values)
    ]
    if isinstance(operation.request_body, RequestBody):
        options.append(f'-H "Content-Type: {JSON}"')
        options.append(f"-d {shlex.quote(json.dumps(_body(operation.request_body)))}")
    return f'curl {" ".join(options)} "$S1_URL{url}"'


def example_of(schema: Schema | Reference, schemas: dict[str, Schema]) -> Any:  # noqa: ANN401 (JSON)
    """A value that the schema allows, made of the examples of its fields."""
    if isinstance(schema, Reference):
        schema = schemas[schema.value]
    if schema.examples:
        return schema.examples[0]
    if schema.properties is not None:
        return {name: example_of(each, schemas) for name, each in schema.properties.items()}
    if isinstance(schema.items, Schema | Reference):
        return [example_of(schema.items, schemas)]
    if schema.enum:
        return schema.enum[0]
    choices = schema.all_of or schema.one_of
    return example_of(choices[0], schemas) if choices else schema.default


def _add_reply(response: OpenAPIResponse, schemas: dict[str, Schema]) -> None:
    content: OpenAPIMediaType | None = (response.content or {}).get(JSON)
    if content is not None and content.schema is not None and not content.examples:
        content.example = example_of(content.schema, schemas)


def _of(where: str, parameters: Iterable[Parameter], values: dict[str, Any]) -> list[Parameter]:
    return [each for each in parameters if each.param_in == where and each.name in values]


def _shown(parameter: Parameter) -> Any:  # noqa: ANN401 (JSON)
    """Its example; a parameter that may be left out is shown only if it declares one itself."""
    if parameter.example is not None:
        return parameter.example
    for example in (parameter.examples or {}).values():
        if isinstance(example, Example):
            return example.value
    return None


def _streams(operation: Operation) -> bool:
    response = (operation.responses or {}).get("200")
    return isinstance(response, OpenAPIResponse) and EVENT_STREAM in (response.content or {})


def _body(body: RequestBody) -> Any:  # noqa: ANN401 (JSON)
    examples = body.content[JSON].examples or {}
    return next(each.value for each in examples.values() if isinstance(each, Example))
