"""Flows to named flows."""
