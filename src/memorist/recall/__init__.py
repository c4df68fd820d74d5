"""Query to ranked cubes, stage by stage."""
