"""Looks at an installation and what it is to use: what is there, reachable, permitted, fresh. Writes nothing.

One module a question. Each thing is looked at by itself, so that one that hangs or breaks hides no other.
"""

from whowas.checkup.examination import Asked, examined
from whowas.checkup.finding import FAIL, OK, WARN, Finding

__all__ = ["FAIL", "OK", "WARN", "Asked", "Finding", "examined"]
