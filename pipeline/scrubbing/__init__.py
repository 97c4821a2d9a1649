"""Scrubbing: which data must not be stored, and what stands in its place (spec/ingest.md, section 3, PII)."""
