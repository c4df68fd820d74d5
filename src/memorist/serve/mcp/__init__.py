"""The memory for agents: the Model Context Protocol, on stdio and beside the HTTP API."""
