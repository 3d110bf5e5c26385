"""Mutation testing: change one place of a member at a time and see whether its tests fail."""
