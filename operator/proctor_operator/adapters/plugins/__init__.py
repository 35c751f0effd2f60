"""Plugins behind their transports, and those that come with the operator."""
