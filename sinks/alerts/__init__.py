"""Delivers alerts."""
