"""Encodes values into documents."""
