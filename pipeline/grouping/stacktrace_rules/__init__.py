"""Stack-trace rules, which Sentry calls enhancements. They are parsed here and matched by `sentry-ophio`.

See docs/spec/stack-trace-rules.md.
"""
