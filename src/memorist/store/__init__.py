"""Where cubes live: one protocol, SQLite by default."""
