"""Models that memory calls."""
