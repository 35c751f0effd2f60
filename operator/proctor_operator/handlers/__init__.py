"""Kopf, and nothing but Kopf: watch events become keys on the queue."""
