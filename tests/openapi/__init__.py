"""The control plane's OpenAPI document: its accuracy, and its use by other tools."""
