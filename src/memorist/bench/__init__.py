"""Evidence: quality at equal token budget, speed as ratios. Every number in the docs comes from here."""
