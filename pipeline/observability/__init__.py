"""Metrics, logs, and reports of the pipeline's own failures."""
