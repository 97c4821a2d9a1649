"""OpenTelemetry's exceptions as error events: `requests.py` finds them, `events.py` maps them, `stack_texts.py` reads their stacks."""
