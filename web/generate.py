"""Writes web/src/api.ts from whowas/workbench/api: what the page and the server say to each other cannot differ.

python web/generate.py [--check]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from whowas.workbench import api

PLACE = Path(__file__).parent / "src" / "api.ts"
HEAD = """// Made by web/generate.py from whowas/workbench/api: change it there.
"""
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def typescript() -> str:
    """Return every question and answer as a TypeScript interface, and the table of endpoints."""
    asked = {one[1] for one in api.ENDPOINTS.values() if one[1]}
    told = {one[2] for one in api.ENDPOINTS.values() if one[2]} | {api.Problem}
    schemas = _components([*asked]) | _components([*told])
    needed = _with_defaults([*told], schemas)
    parts = [_interface(name, schemas[name], name in needed) for name in sorted(schemas)]
    return HEAD + "\n" + "\n".join(parts) + "\n" + _endpoints()


def _components(types: list[Any]) -> dict[str, Any]:
    _, found = msgspec.json.schema_components(types, ref_template="{name}")
    return dict(found)


def _with_defaults(told: list[Any], schemas: dict[str, Any]) -> set[str]:
    """Answers always carry every key; questions may leave out what has a default."""
    return {name for name in _components(told) if name in schemas}


def _interface(name: str, schema: dict[str, Any], whole: bool) -> str:
    required = schema.get("required", [])
    lines = []
    for key, one in schema["properties"].items():
        mark = "" if whole or key in required else "?"
        lines.append(f"  {key}{mark}: {_type(one)};\n")
    body = "".join(lines)
    return f"{_comment(schema.get('description', ''))}export interface {name} {{\n{body}}}\n"


def _comment(text: str) -> str:
    if not text:
        return ""
    lines = text.replace("*/", "* /").strip().split("\n")
    return "/**\n" + "".join(f" * {one.strip()}".rstrip() + "\n" for one in lines) + " */\n"


def _type(one: dict[str, Any]) -> str:
    if "$ref" in one:
        return str(one["$ref"])
    if "enum" in one:
        return " | ".join(f'"{word}"' for word in one["enum"])
    if "anyOf" in one:
        return " | ".join(_type(each) for each in one["anyOf"])
    if one.get("type") == "array":
        return _array(one)
    if one.get("type") == "object":
        of = one.get("additionalProperties")
        return f"Record<string, {_type(of) if isinstance(of, dict) else 'unknown'}>"
    return PLAIN.get(one.get("type", ""), "unknown")


def _array(one: dict[str, Any]) -> str:
    if "prefixItems" in one:
        return f"[{', '.join(_type(each) for each in one['prefixItems'])}]"
    of = _type(one["items"]) if one.get("items") else "unknown"
    return f"({of})[]" if " " in of else f"{of}[]"


def _endpoints() -> str:
    rows = []
    for path, (method, asked, told) in api.ENDPOINTS.items():
        question = asked.__name__ if asked else "null"
        answer = told.__name__ if told else "Blob"
        rows.append(f'  "{path}": {{ method: "{method}"; asks: {question}; tells: {answer} }};\n')
    return f"/** Path: method, question, answer. */\nexport interface Endpoints {{\n{''.join(rows)}}}\n"


def main() -> None:
    """Write the file; with --check only say whether it is up to date."""
    text = typescript()
    if "--check" in sys.argv:
        sys.exit(0 if PLACE.exists() and PLACE.read_text() == text else f"stale: {PLACE}; run python web/generate.py")
    PLACE.parent.mkdir(parents=True, exist_ok=True)
    PLACE.write_text(text)
    print("wrote", PLACE)


if __name__ == "__main__":
    main()
