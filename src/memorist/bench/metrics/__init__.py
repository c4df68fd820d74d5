"""Metrics, each checked by hand and against a public implementation."""
