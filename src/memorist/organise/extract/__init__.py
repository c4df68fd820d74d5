"""What a text says as facts: extractors, and what becomes of what they give."""
