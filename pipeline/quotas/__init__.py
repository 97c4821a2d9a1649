"""Quotas, duplicates and counts: what Redis knows. The model is pure; `redis_ledger.py` is its adapter."""
