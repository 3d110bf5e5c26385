"""The syntax of RFC 8259: parses text into plain values, without types."""
