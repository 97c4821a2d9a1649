"""Quotas, duplicates and counts. The model is pure; `redis_ledger.py` is the adapter that keeps them in Redis."""
