"""Judges whether policies of a cluster let a connection pass, as of a moment."""
