"""Asks who may talk to whom: loads what a history knows of policies, reads policies from files, tries them on flows."""
