"""Compiled scanners: bytes of a record to numbers."""
