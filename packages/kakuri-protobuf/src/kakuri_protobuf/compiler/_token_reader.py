"""Reads tokens one after another: names, numbers, strings and options."""

from typing import Any

from kakuri_protobuf._errors import ProtoSyntaxError
from kakuri_protobuf.compiler._lexer import Token, string_value

_MAX_BITS = 1024
"""Bits of the largest integer that is read, which is enough for the default of a double. Larger
integers would exceed Python's limit on digits when an error quotes them."""


class TokenReader:
    """A position in the tokens of a file."""

    def __init__(self, tokens: list[Token], file: str) -> None:
        self._tokens = tokens
        self._index = 0
        self._name = file

    @property
    def token(self) -> Token:
        return self._tokens[self._index]

    @property
    def following(self) -> Token:
        """The token after the next one; the end of the file at the end."""
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)]

    def next_token(self) -> Token:
        token = self.token
        if token.kind != "end":
            self._index += 1
        return token

    def error(self, expected: str, token: Token | None = None) -> ProtoSyntaxError:
        token = token or self.token
        got = "the end of the file" if token.kind == "end" else repr(token.text)
        return ProtoSyntaxError(f"expected {expected}, got {got}", self._name, *token.position)

    def accept(self, text: str) -> bool:
        """Consume the next token if it is this word or symbol."""
        if self.token.text == text and self.token.kind in ("word", "symbol"):
            self._index += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        token = self.token
        if not self.accept(text):
            raise self.error(repr(text))
        return token

    def word(self, what: str) -> Token:
        if self.token.kind != "word":
            raise self.error(what)
        return self.next_token()

    def integer(self, what: str, *, is_signed: bool = False) -> int:
        is_negative = is_signed and self.accept("-")
        token = self.next_token()
        text = token.text
        is_octal = len(text) > 1 and text[0] == "0" and text[1] not in "xX"
        try:
            value = int(text, 8 if is_octal else 0)
        except ValueError:
            raise self.error(what, token) from None
        if value.bit_length() > _MAX_BITS:
            raise self.error(what, token)
        return -value if is_negative else value

    def string(self, what: str) -> bytes:
        if self.token.kind != "string":
            raise self.error(what)
        value = b""
        while self.token.kind == "string":  # adjacent strings are concatenated
            value += string_value(self.next_token(), self._name)
        return value

    def type_name(self) -> str:
        """Read a dotted name, as written; a leading dot makes it absolute."""
        name = "." if self.accept(".") else ""
        name += self.word("a type").text
        while self.accept("."):
            name += f".{self.word('a name').text}"
        return name

    def options(self) -> dict[str, Any]:
        """Read the options in brackets after a field or value."""
        options: dict[str, Any] = {}
        if self.accept("["):
            while True:
                self.option(options)
                if not self.accept(","):
                    break
            self.expect("]")
        return options

    def option(self, options: dict[str, Any]) -> None:
        name = self._option_name()
        self.expect("=")
        options[name] = self._constant()

    def _option_name(self) -> str:
        name = ""
        while True:
            if self.accept("("):
                name += f"({self.type_name()})"
                self.expect(")")
            else:
                name += self.word("the name of an option").text
            if not self.accept("."):
                return name
            name += "."

    def _constant(self) -> Any:
        """Read the value of an option: a number, a bool, bytes, or the name of an enum value."""
        if self.token.text == "{":
            self._skip_aggregate()
            return None
        if self.token.kind == "string":
            return self.string("a value")
        sign = -1 if self.accept("-") else 1
        if sign == 1:
            self.accept("+")
        token = self.token
        if token.kind == "integer":
            return sign * self.integer("a number")
        if token.kind == "float":
            return sign * float(self.next_token().text)
        word = self.word("a value")
        if word.text in ("inf", "nan"):
            return sign * float(word.text)
        if sign == -1:
            raise self.error("a number", word)
        name = word.text
        while self.accept("."):
            name += f".{self.word('a name').text}"
        return {"true": True, "false": False}.get(name, name)

    def _skip_aggregate(self) -> None:
        """Skip a message in text format: `{ … }`, including nested ones."""
        opening = self.expect("{")
        depth = 1
        while depth:
            token = self.next_token()
            if token.kind == "end":
                raise self.error("the end of the option", opening)
            depth += (token.text == "{") - (token.text == "}") if token.kind == "symbol" else 0
