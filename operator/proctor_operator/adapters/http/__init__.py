"""Servers of our own: health and metrics."""
