"""Decodes documents and parsed values into validated instances of types.

The package name has an underscore because importing a submodule `kakuri_json.decode` would replace
the function `kakuri_json.decode`.
"""
