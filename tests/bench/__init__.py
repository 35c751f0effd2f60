"""The benchmark: executions beside raw Jobs, in one run on one cluster (docs/benchmarks.md)."""
