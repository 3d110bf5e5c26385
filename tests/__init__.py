"""Tests that cross distributions, and the worlds that they run in."""
