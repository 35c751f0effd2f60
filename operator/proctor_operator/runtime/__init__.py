"""The imperative shell: queue, cache, runner."""
