"""The version of whowas, said once."""

__version__ = "0.1.0"
