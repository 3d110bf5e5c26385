"""What noxfile.py needs to know and do about this repository."""
