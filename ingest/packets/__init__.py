"""Captures to bidirectional flows."""
