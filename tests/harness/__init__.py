"""The operator as tests and the demo run it: a process of its own, under its own account."""
