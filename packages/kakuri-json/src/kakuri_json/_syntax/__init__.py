"""The syntax of RFC 8259: text to plain values, without types."""
