"""Inbound filters: what a project asked not to receive, and by which rule an event matched (spec/ingest.md, section 2)."""
