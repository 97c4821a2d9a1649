"""OpenTelemetry's exceptions as error events.

`requests.py` finds the exceptions in a request, `events.py` makes an event of each, `stack_texts.py` parses the texts of their
stacks.
"""
