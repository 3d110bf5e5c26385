"""Tests that cross distributions, and the environments that they run in."""
