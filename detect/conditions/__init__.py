"""Conditions on the columns of named flows: their tree, their fields, their SQL."""
