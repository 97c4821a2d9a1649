"""What a running worker tells: metrics, logs, and reports of its own failures."""
