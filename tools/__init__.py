"""The sessions of noxfile.py, and the tools that they run."""
