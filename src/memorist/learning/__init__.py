"""How memory is learned, and what it is learned from."""
