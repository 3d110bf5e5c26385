"""Compares `loads` and `dumps` with other libraries. As a script: only our own figures, as JSON."""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from json.decoder import JSONDecoder, py_scanstring
from json.encoder import JSONEncoder, _make_iterencode, py_encode_basestring
from json.scanner import py_make_scanner
from pathlib import Path
from typing import Any

import kakuri_json
import msgspec
import orjson
import simplejson
from measuring import compare

ROOT = Path(__file__).resolve().parent.parent


def documents() -> dict[str, bytes]:
    dice = random.Random(8259)
    letters = (
        "abcdefghijklmnopqrstuvwxyz " * 3 + '"\\/\n\r\t\b\f' * 2 + "äöüßé世界日本語" * 2 + "🌊"
    )
    escaped = ["".join(dice.choices(letters, k=dice.randint(5, 60))) for _ in range(6000)]
    found = {"synthetic escapes": json.dumps(escaped).encode()}
    directory = os.environ.get("KAKURI_CORPORA")
    if directory:
        paths = sorted(Path(directory).glob("json-bench/*.json"))
        return {path.name: path.read_bytes() for path in paths} | found
    fields = {"id": "wl-123", "image": "nginx:latest", "memory_mb": 512}
    numbers = [
        [[dice.uniform(-180, 180), dice.uniform(-90, 90)] for _ in range(500)] for _ in range(60)
    ]
    texts = [
        {
            "user": {"name": "n" * dice.randint(3, 30), "text": "grüße 世界 " * dice.randint(1, 9)},
            "id": n,
        }
        for n in range(3000)
    ]
    workloads = [
        {"workload": fields, "state": "running", "seconds": dice.random()} for _ in range(1500)
    ]
    return found | {
        "synthetic numbers": json.dumps(numbers).encode(),
        "synthetic text": json.dumps(texts, ensure_ascii=False).encode(),
        "synthetic workloads, indented": json.dumps(workloads, indent=2).encode(),
    }


class PurePython(JSONDecoder):
    """The standard library's decoder without its C parts."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_string = py_scanstring
        self.scan_once = py_make_scanner(self)


def pure_python_dumps(value: Any) -> str:
    write = _make_iterencode(
        {},
        JSONEncoder().default,
        py_encode_basestring,
        None,
        float.__repr__,
        ":",
        ",",
        False,
        False,
        True,
    )
    return "".join(write(value, 0))


def own() -> dict[str, float]:
    """Measure ourselves alone: what compiling changes."""
    figures = {}
    for name, data in documents().items():
        value = json.loads(data)
        functions = {
            f"loads {name}": partial(kakuri_json.loads, data),
            f"dumps {name}": partial(kakuri_json.dumps, value),
        }
        figures |= compare(functions)
    return figures


def compiled() -> dict[str, float]:
    """Measure the same with a compiled wheel; nothing if none can be built."""
    with tempfile.TemporaryDirectory() as directory:
        environment = os.environ | {"HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"}
        build = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "-o",
            directory,
            str(ROOT),
        ]
        built = subprocess.run(build, env=environment, capture_output=True, text=True)
        for extension in ROOT.glob("src/**/*.so"):
            extension.unlink()
        if built.returncode:
            print(
                f"no compiled figures: {built.stdout[-500:]}{built.stderr[-500:]}", file=sys.stderr
            )
            return {}
        site = Path(directory) / "site"
        wheel = next(Path(directory).glob("*.whl"))
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--no-index",
                "--target",
                str(site),
                str(wheel),
            ],
            check=True,
        )
        environment["PYTHONPATH"] = str(site)
        check = "import kakuri_json._syntax.scanning as s; assert s.COMPILED"
        subprocess.run([sys.executable, "-c", check], env=environment, check=True)
        output = subprocess.run(
            [sys.executable, __file__],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(output.stdout)


def peers(text: str, value: Any) -> dict[str, dict[str, Callable[[], Any]]]:
    """Return what we and the peers do for loads and for dumps."""
    data = text.encode()
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    return {
        "loads": {
            "kakuri-json": partial(kakuri_json.loads, data),
            "json": partial(json.loads, data),
            "json, pure Python": partial(PurePython().decode, text),
            "orjson": partial(orjson.loads, data),
            "msgspec": partial(msgspec.json.decode, data),
            "simplejson": partial(simplejson.loads, data),
        },
        "dumps": {
            "kakuri-json": partial(kakuri_json.dumps, value),
            "json": partial(json.dumps, value, **compact),
            "json, pure Python": partial(pure_python_dumps, value),
            "orjson": partial(orjson.dumps, value),
            "msgspec": partial(msgspec.json.encode, value),
            "simplejson": partial(simplejson.dumps, value, **compact),
        },
    }


def measure() -> tuple[dict[str, dict[str, float]], dict[str, int]]:
    """Return seconds for each work and library, and the size of each work's document."""
    fast = compiled()
    rows, sizes = {}, {}
    for name, data in documents().items():
        for work, functions in peers(data.decode(), json.loads(data)).items():
            row = f"{work} {name}"
            sizes[row] = len(data)
            figures = compare(functions)
            rows[row] = {"kakuri-json": figures.pop("kakuri-json")}
            if row in fast:
                rows[row]["kakuri-json, compiled"] = fast[row]
            rows[row] |= figures
    return rows, sizes


if __name__ == "__main__":
    print(json.dumps(own()))
