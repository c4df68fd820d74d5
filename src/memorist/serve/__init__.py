"""Memory as a service: HTTP in front of one store."""
