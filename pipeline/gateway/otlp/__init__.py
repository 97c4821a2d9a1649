"""OpenTelemetry's exceptions as error events.

`requests.py` finds the exceptions in a request, `events.py` maps each to an event, `stack_texts.py` reads the texts of their stacks.
"""
