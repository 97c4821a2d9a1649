"""All settings, and how they are read from a file, the environment and options."""
