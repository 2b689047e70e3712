"""Bulk work on Ray Data: what `bulk.py` does, in modules."""
