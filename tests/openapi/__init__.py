"""The control plane's OpenAPI document: whether it is true, and what tools make of it."""
