"""Reads files in which a cluster told of itself."""
