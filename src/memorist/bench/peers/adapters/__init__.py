"""What runs inside a peer's own environment: `python -m adapters.NAME`. It knows nothing of Memorist's code."""
