"""The rules folder, read into an immutable snapshot that stages use. rules/README.md describes the folder."""
