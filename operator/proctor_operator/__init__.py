"""Proctor: self-service automations on Kubernetes."""
