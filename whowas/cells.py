"""Cells of text tables that a spreadsheet may open."""

from __future__ import annotations

# A spreadsheet runs a cell that starts with one of these; labels and names are written by strangers.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: str) -> str:
    """Return the cell so that no spreadsheet takes it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
