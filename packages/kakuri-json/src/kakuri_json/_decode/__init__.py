"""Documents and parsed values to checked instances of types.

The package has an underscore because Python would bind a public submodule `kakuri_json.decode` to
the name of the function `kakuri_json.decode` as soon as the submodule is imported.
"""
