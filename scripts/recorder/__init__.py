"""Records test fixtures: real SDKs crash in small programs, and what they send to a loopback server is kept.

Not needed by tests or the demo. See tests/fixtures/README.md for what it makes and what it needs.
"""
