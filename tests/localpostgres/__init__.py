"""A throwaway PostgreSQL server on this machine, for tests and for the demo."""
