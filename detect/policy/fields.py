"""Reads fields of objects that anybody may have written: what is of another type than the API's is refused by name."""

from __future__ import annotations

from typing import Any


class Unreadable(Exception):
    """A policy that no apiserver would take. Its text is the field and what is wrong with it."""


def as_map(told: Any, where: str) -> dict[str, Any]:
    """Return a mapping, {} for null. Raises: Unreadable."""
    if told is None:
        return {}
    if not isinstance(told, dict) or not all(isinstance(key, str) for key in told):
        raise Unreadable(f"{where} is no mapping of words")
    return told


def as_list(told: Any, where: str) -> list[Any]:
    """Return a list, [] for null. Raises: Unreadable."""
    if told is None:
        return []
    if not isinstance(told, list):
        raise Unreadable(f"{where} is no list")
    return told


def as_text(told: Any, where: str) -> str:
    """Return a text. Raises: Unreadable: an unquoted `true` or `1.0` in YAML is none, and the apiserver says so too."""
    if not isinstance(told, str):
        raise Unreadable(f"{where} is {'absent' if told is None else 'no text: put it in quotes'}")
    return told


def as_number(told: Any, where: str, low: int, high: int) -> int:
    """Return a whole number between bounds. Raises: Unreadable."""
    if isinstance(told, bool) or not isinstance(told, int):
        raise Unreadable(f"{where} is no whole number")
    if not low <= told <= high:
        raise Unreadable(f"{where} is {told}, not between {low} and {high}")
    return told


def one_key(told: Any, known: tuple[str, ...], where: str) -> str:
    """Return which of several keys a mapping has: exactly one. Raises: Unreadable."""
    found = [key for key, value in as_map(told, where).items() if value is not None]
    if len(found) != 1:
        raise Unreadable(f"{where} has {len(found)} keys, of which it takes one: {', '.join(known)}")
    return found[0]
