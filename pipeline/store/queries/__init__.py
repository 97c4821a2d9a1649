"""Typed queries: what to count, over which time, filtered and grouped by what. SQL is made in `sql.py` alone."""
