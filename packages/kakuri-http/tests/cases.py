"""The cases of corpus/, and ways to split bytes into reads."""

import json
import random
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def load(name):
    cases = json.loads((CORPUS / name).read_text())
    assert cases, name
    return cases


def raw(case, kind):
    if f"raw_{kind}_latin1" in case:
        return case[f"raw_{kind}_latin1"].encode("latin-1")
    return b"".join(text.encode("latin-1") * times for text, times in case["raw_parts_latin1"])


def whole(data):
    return [data]


def single_bytes(data):
    return [data[i : i + 1] for i in range(len(data))]


def at_random(data):
    chooser = random.Random(len(data))
    cuts = sorted(chooser.choices(range(len(data) + 1), k=min(8, len(data))))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


WAYS = {"whole": whole, "single bytes": single_bytes, "at random": at_random}
