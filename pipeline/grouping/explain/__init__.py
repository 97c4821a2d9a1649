"""Explanations: why an event groups as it does, and why two events are in different groups."""
