"""Parses a .proto file with the syntax proto2 or proto3.

A recursive descent parser for the grammars of protobuf.dev/reference/protobuf/proto2-spec and
proto3-spec. Options are parsed and kept by name; only `packed`, `default`, `json_name` and
`allow_alias` have an effect. `extend` and `extensions` are parsed and ignored.
"""

from kakuri_protobuf._fields import MAX_NUMBER
from kakuri_protobuf.compiler._lexer import Token, tokenize
from kakuri_protobuf.compiler._token_reader import TokenReader
from kakuri_protobuf.compiler._tree import (
    EnumNode,
    FieldNode,
    FileNode,
    MessageNode,
    MethodNode,
    ServiceNode,
)

MAX_DEPTH = 64
"""Maximum depth of nested message declarations; protoc's limit is 32."""

_LABELS = ("optional", "required", "repeated")


def parse(text: str, file: str) -> FileNode:
    """Parse a file.

    Args:
        text: The file's content.
        file: Its name, for errors.

    Raises:
        ProtoSyntaxError: The text is not a .proto file of syntax proto2 or proto3.
    """
    return _Parser(tokenize(text, file), file).file()


class _Parser(TokenReader):
    def __init__(self, tokens: list[Token], file: str) -> None:
        super().__init__(tokens, file)
        self._file = FileNode(file)
        self._depth = 0

    # The file.

    def file(self) -> FileNode:
        file = self._file
        if self.accept("syntax"):
            self.expect("=")
            token = self.token
            syntax = self.string("a syntax").decode("utf-8", "replace")
            if syntax not in ("proto2", "proto3"):
                raise self.error("'proto2' or 'proto3' as syntax", token)
            file.syntax = syntax
            self.expect(";")
        while self.token.kind != "end":
            self._declaration()
        return file

    def _declaration(self) -> None:
        file, token = self._file, self.token
        if self.accept(";"):
            return
        if self.accept("import"):
            is_public = self.accept("public")
            if not is_public:
                self.accept("weak")
            name = self.string("the name of a file").decode("utf-8", "replace")
            file.imports.append((name, is_public, token.position))
            self.expect(";")
        elif self.accept("package"):
            if file.package:
                raise self.error("one package", token)
            if self.token.text == ".":
                raise self.error("the name of a package")
            file.package = self.type_name()
            self.expect(";")
        elif self.accept("option"):
            self.option({})
            self.expect(";")
        elif self.accept("message"):
            file.messages.append(self._message())
        elif self.accept("enum"):
            file.enums.append(self._enum())
        elif self.accept("service"):
            file.services.append(self._service())
        elif self.accept("extend"):
            self._extend(file.messages)
        else:
            raise self.error("a declaration such as 'message', 'enum' or 'service'")

    def _extend(self, messages: list[MessageNode]) -> None:
        """Parse extensions and ignore them, except that groups declare messages."""
        self.type_name()
        self.expect("{")
        ignored = MessageNode("", self.token.position)
        while not self.accept("}"):
            if not self.accept(";"):
                self._field(ignored, "")
        messages += ignored.messages

    # Messages.

    def _message(self) -> MessageNode:
        token = self.word("a name")
        message = MessageNode(token.text, token.position)
        self.expect("{")
        self._body(message)
        return message

    def _body(self, message: MessageNode) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.error(f"at most {MAX_DEPTH} levels of declarations")
        while not self.accept("}"):
            self._member(message)
        self._depth -= 1

    def _member(self, message: MessageNode) -> None:
        following = self.following if self.token.kind == "word" else self.token
        # Keywords are also valid names: `message` may be the type of a field, if a name and '='
        # follow. In a declaration, a name and '{' follow.
        is_declaration = self._is_declaration()
        if self.accept(";"):
            return
        if self.token.text == "message" and is_declaration:
            self.next_token()
            message.messages.append(self._message())
        elif self.token.text == "enum" and is_declaration:
            self.next_token()
            message.enums.append(self._enum())
        elif self.token.text == "oneof" and is_declaration:
            self.next_token()
            self._oneof(message)
        elif self.token.text == "extend" and (following.kind == "word" or following.text == "."):
            self.next_token()
            self._extend(message.messages)
        elif self.token.text == "map" and following.text == "<":
            self.next_token()
            self._map(message)
        elif self.token.text == "option" and (following.kind == "word" or following.text == "("):
            self.next_token()
            self.option({})
            self.expect(";")
        elif self.token.text == "reserved" and following.kind in ("integer", "string"):
            self.next_token()
            self._reserved(message)
        elif self.token.text == "extensions" and following.kind == "integer":
            self.next_token()
            self._ranges()
            self.options()
            self.expect(";")
        else:
            self._field(message, "")

    def _is_declaration(self) -> bool:
        after = self._tokens[self._index : self._index + 3]
        return len(after) == 3 and after[1].kind == "word" and after[2].text == "{"

    def _reserved(self, message: MessageNode) -> None:
        if self.token.kind == "string":
            while True:
                message.reserved_names.add(self.string("a name").decode("utf-8", "replace"))
                if not self.accept(","):
                    break
        else:
            message.reserved_numbers += self._ranges()
        self.expect(";")

    def _ranges(self) -> list[tuple[int, int]]:
        ranges = []
        while True:
            first = last = self.integer("a number", is_signed=True)
            if self.accept("to"):
                last = (
                    MAX_NUMBER if self.accept("max") else self.integer("a number", is_signed=True)
                )
            ranges.append((first, last))
            if not self.accept(","):
                return ranges

    def _oneof(self, message: MessageNode) -> None:
        token = self.word("a name")
        message.oneofs.append((token.text, token.position))
        self.expect("{")
        while not self.accept("}"):
            if self.accept(";"):
                continue
            if self.token.text == "option" and self.following.text != "=":
                self.next_token()
                self.option({})
                self.expect(";")
            else:
                self._field(message, token.text)

    def _field(self, message: MessageNode, oneof: str) -> None:
        label, token = "", self.token
        if token.text in _LABELS and token.kind == "word":
            label = self.next_token().text
            if oneof:
                raise self.error("a member of a oneof without label", token)
        if self.token.text == "group" and self.following.kind == "word":
            self._group(message, label, oneof)
            return
        type_name = self.type_name()
        name = self.word("the name of a field")
        number = self._number()
        message.fields.append(
            FieldNode(
                name.text,
                number,
                label,
                type_name,
                name.position,
                oneof=oneof,
                options=self.options(),
            )
        )
        self.expect(";")

    def _number(self) -> int:
        self.expect("=")
        return self.integer("the number of a field")

    def _group(self, message: MessageNode, label: str, oneof: str) -> None:
        self.next_token()
        name = self.word("the name of a group")
        if not name.text[0].isupper():
            raise self.error("the name of a group to begin with a capital letter", name)
        number, options = self._number(), self.options()
        self.expect("{")
        group = MessageNode(name.text, name.position)
        self._body(group)
        message.messages.append(group)
        message.fields.append(
            FieldNode(
                name.text.lower(),
                number,
                label,
                name.text,
                name.position,
                oneof=oneof,
                is_group=True,
                options=options,
            )
        )

    def _map(self, message: MessageNode) -> None:
        self.expect("<")
        key = self.type_name()
        self.expect(",")
        value = self.type_name()
        self.expect(">")
        name = self.word("the name of a field")
        number = self._number()
        message.fields.append(
            FieldNode(
                name.text, number, "", "map", name.position, key, value, options=self.options()
            )
        )
        self.expect(";")

    # Enums and services.

    def _enum(self) -> EnumNode:
        token = self.word("a name")
        enum = EnumNode(token.text, token.position)
        self.expect("{")
        while not self.accept("}"):
            following = self.following if self.token.kind == "word" else self.token
            if self.accept(";"):
                continue
            if self.token.text == "option" and following.text != "=":
                self.next_token()
                self.option(enum.options)
                self.expect(";")
            elif self.token.text == "reserved" and following.text != "=":
                self.next_token()
                self._reserved(MessageNode("", token.position))
            else:
                self._value(enum)
        if not enum.values:
            raise self.error(f"a value in enum {token.text!r}", token)
        return enum

    def _value(self, enum: EnumNode) -> None:
        name = self.word("the name of a value")
        self.expect("=")
        number = self.integer("the number of a value", is_signed=True)
        if not -(1 << 31) <= number < 1 << 31:
            raise self.error("a number of 32 bits", name)
        enum.values.append((name.text, number, name.position))
        self.options()
        self.expect(";")

    def _service(self) -> ServiceNode:
        token = self.word("a name")
        service = ServiceNode(token.text, token.position)
        self.expect("{")
        while not self.accept("}"):
            if self.accept(";"):
                continue
            if self.accept("option"):
                self.option({})
                self.expect(";")
            else:
                service.methods.append(self._method())
        return service

    def _method(self) -> MethodNode:
        self.expect("rpc")
        name = self.word("the name of a method")
        client_streams, request = self._method_type()
        self.expect("returns")
        server_streams, response = self._method_type()
        if self.accept("{"):
            while not self.accept("}"):
                if not self.accept(";"):
                    self.expect("option")
                    self.option({})
                    self.expect(";")
        else:
            self.expect(";")
        return MethodNode(
            name.text, name.position, request, response, client_streams, server_streams
        )

    def _method_type(self) -> tuple[bool, str]:
        self.expect("(")
        is_stream = (self.token.text == "stream" and self.following.text != ")") and self.accept(
            "stream"
        )
        name = self.type_name()
        self.expect(")")
        return is_stream, name
