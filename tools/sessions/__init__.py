"""The sessions of noxfile.py, by kind; each is registered when its module is imported."""
