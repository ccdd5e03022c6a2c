"""Knows who held what when."""
