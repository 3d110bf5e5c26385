"""Turns type annotations into shapes, which describe the JSON values of a type."""
