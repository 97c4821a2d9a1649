"""The rules folder, read into a snapshot that stages use and never change (design, section 5)."""
