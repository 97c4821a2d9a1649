"""Inbound filters: the events that a project does not want to receive, and the reason of each match (docs/spec/filters.md)."""
