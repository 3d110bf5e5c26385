"""Type annotations as shapes: what a type requires of a JSON value."""
