"""The Redis edge: clients, scripts and the embedded server; no business is decided here."""
