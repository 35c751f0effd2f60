"""Settings, logging, wiring and the entry point."""
