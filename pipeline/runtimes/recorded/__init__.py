"""Recorded events: files and folders in several forms, read as records."""
