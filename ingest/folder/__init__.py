"""Follows a folder into which a sensor writes files."""
