"""The API description as an HTML page without scripts and external resources."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from litestar.openapi.plugins import OpenAPIRenderPlugin

from chimera_s1.app.web.access.guard import SCHEME
from chimera_s1.app.web.problem_kinds import ProblemKind
from chimera_s1.app.web.problems import AnyRequest

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1d2733; background: #fff }
h1, h2, h3 { line-height: 1.2 } h3 { margin: 2rem 0 .5rem } code { font-size: .95em }
pre { overflow-x: auto }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; border-top: 1px solid #d5dce3;
  padding: .35rem .75rem .35rem 0 }
@media (prefers-color-scheme: dark) { body { color: #dbe4ee; background: #12181f }
  a { color: #8cc4ff } th, td { border-color: #33404d } }
"""


_RULES = {
    "minimum": "At least",
    "exclusiveMinimum": "More than",
    "maximum": "At most",
    "minLength": "Characters at least",
    "maxLength": "Characters at most",
    "maxItems": "Items at most",
}

NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'"
"""Content-Security-Policy of the pages."""


class SchemaPage(OpenAPIRenderPlugin):
    """Renders the OpenAPI document; the usual viewers load scripts from a public CDN."""

    def __init__(self, path: str, problem_kinds: Iterable[ProblemKind]) -> None:
        super().__init__(path=path)
        self._problem_kinds = tuple(problem_kinds)

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 (the plugin's signature)
        info = openapi_schema["info"]
        operations = "".join(
            _operation(method, path, operation)
            for path, item in sorted(openapi_schema["paths"].items())
            for method, operation in item.items()
        )
        structs = "".join(
            _struct(name, schema)
            for name, schema in sorted(openapi_schema["components"]["schemas"].items())
        )
        title = f"{escape(info['title'])} {escape(info['version'])}"
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
            f"<p>{escape(info['summary'])} {_prose(info['description'])}</p>"
            f'<p>For programs: <a href="/schema/openapi.json">openapi.json</a></p>'
            f"<h2>Paths</h2>{_tags(openapi_schema['tags'])}{operations}<h2>Bodies</h2>{structs}"
            f"<h2>Problems</h2>{_problems(self._problem_kinds)}</body></html>"
        ).encode()


def _tags(tags: Iterable[dict[str, str]]) -> str:
    return _table([(tag["name"], "", tag["description"]) for tag in tags])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [
        (row["name"], f"{row['in']}, {_type(row['schema'])}", _about(row["schema"], row))
        for row in operation.get("parameters", ())
    ]
    responses = [
        (status, ", ".join(row.get("content", ())), row["description"])
        for status, row in sorted(operation["responses"].items())
    ]
    text = ". ".join(filter(None, (operation["summary"], operation.get("description"))))
    return (
        f'<h3 id="{escape(operation["operationId"])}"><code>{method.upper()} {escape(path)}</code>'
        f"</h3>{_paragraphs(text)}"
        f"{_needs(operation)}{_table(parameters)}{_body(operation)}{_table(responses)}"
    )


def _needs(operation: dict[str, Any]) -> str:
    scopes = [scope for each in operation.get("security", ()) for scope in each[SCHEME]]
    return "".join(
        f"<p>Needs a token with the scope <code>{escape(scope)}</code>.</p>" for scope in scopes
    )


def _body(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return "".join(
        f"<p>Takes <code>{escape(media_type)}</code>:</p>{_table(_fields(row['schema']))}"
        for media_type, row in content.items()
    )


def _struct(name: str, schema: dict[str, Any]) -> str:
    about = _prose(_about(schema, schema))
    return (
        f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3><p>{about}</p>'
        f"{_table(_fields(schema))}"
    )


def _fields(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    needed = schema.get("required", ())
    return [
        (field, _type(row) + ("" if field in needed else ", optional"), _about(row, row))
        for field, row in schema.get("properties", {}).items()
    ]


def _problems(kinds: Iterable[ProblemKind]) -> str:
    rows = "".join(
        f'<tr id="{escape(kind.code)}"><td><code>{escape(kind.code)}</code></td>'
        f"<td>{int(kind.status)}</td><td>{escape(kind.title)}</td>"
        f"<td>{_prose(kind.advice)}</td></tr>"
        for kind in kinds
    )
    head = "<tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr>"
    return f"<table>{head}{rows}</table>"


def _table(rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{_prose(text)}</td></tr>"
        for name, kind, text in rows
    )
    return f"<table>{body}</table>"


def _paragraphs(text: str) -> str:
    """As `_prose`, with fenced lines as blocks between the paragraphs."""
    parts = re.split(r"\s*```sh\n(.*?)\n```\s*", text)  # prose, fenced, prose, ...
    return "".join(
        f"<pre>{escape(part)}</pre>" if at % 2 else f"<p>{_prose(part)}</p>"
        for at, part in enumerate(parts)
        if part
    )


def _prose(text: str) -> str:
    """Escape *text*; text in backticks becomes code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _about(schema: dict[str, Any], described: dict[str, Any]) -> str:
    """The description and the rule of a value."""
    rules = [f"One of {', '.join(map(str, schema['enum']))}."] if "enum" in schema else []
    rules += [f"{word} {_number(schema[key])}." for key, word in _RULES.items() if key in schema]
    return " ".join([described.get("description", ""), *rules])


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "oneOf" in schema:
        return " or ".join(_type(each) for each in schema["oneOf"] if "deprecated" not in each)
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "type" not in schema and "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    return str(schema.get("type", "any"))


def _number(bound: float) -> str:
    """Litestar's bounds are floats, also those of integers."""
    return str(int(bound) if bound == int(bound) else bound)
