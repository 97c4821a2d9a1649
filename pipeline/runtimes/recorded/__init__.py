"""Recorded events: files and folders of them, in whatever form they were written down, as records."""
