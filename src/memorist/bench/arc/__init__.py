"""Concepts that a symbolic solver learns from puzzles it solved, measured on ARC-AGI."""
