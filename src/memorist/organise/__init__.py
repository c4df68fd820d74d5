"""Episode to cubes: each organiser derives something from new episodes."""
