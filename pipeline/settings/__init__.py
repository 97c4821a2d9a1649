"""Every setting, and how the settings are read."""
