"""What happens to memories beside being added and recalled."""
