"""The only place that picks adapters: settings become clients, and clients become what a runtime or a command uses."""
