"""Writes named flows."""
