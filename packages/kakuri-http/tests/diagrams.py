"""Draw the state tables as Mermaid diagrams; `python diagrams.py` prints both."""

from kakuri_http import REQUEST_TABLE, RESPONSE_TABLE


def mermaid(table):
    lines = ["stateDiagram-v2", "    [*] --> idle"]
    for state, moves in table.items():
        grouped = {}
        for kind, target in moves.items():
            grouped.setdefault(target, []).append(kind.value)
        for target, kinds in grouped.items():
            if not (state is target and state.is_terminal):
                lines.append(f"    {state.value} --> {target.value}: {', '.join(kinds)}")
    lines.append("    done --> idle: both sides done, connection kept")
    return "\n".join(lines)


if __name__ == "__main__":
    for name, table in (("request", REQUEST_TABLE), ("response", RESPONSE_TABLE)):
        print(f"{name}\n```mermaid\n{mermaid(table)}\n```")
