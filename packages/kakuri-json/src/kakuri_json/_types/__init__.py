"""Type annotations as shapes: what a type asks of a JSON value."""
