"""Runs the official conformance tests of protocol buffers against kakuri-protobuf."""
