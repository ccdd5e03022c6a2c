"""Wrappings around records: what a runtime, a shipper or a cloud puts around each line of somebody else's log.

One module a family. chain.py recognises them by the first lines of an input and hands on what is inside, for readers
of every kind. The time of a wrapping is never that of the record.
"""

from ingest.wrappings.chain import DEEPEST, Chain, Joiner, chains, objects, opened
from ingest.wrappings.shapes import is_object

__all__ = ["DEEPEST", "Chain", "Joiner", "chains", "is_object", "objects", "opened"]
