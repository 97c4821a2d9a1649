"""Explanations: why an event groups as it does, and what tells two events apart."""
