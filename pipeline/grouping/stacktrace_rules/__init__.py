"""Stack-trace (enhancement) rules: parsed here, matched by `sentry-ophio` (spec/grouping.md, section 5)."""
