"""Every task of development, one session each; `nox --list` shows them.

They are in `tools/sessions`, by kind, and run in the order in which those modules are imported.
"""

import logging
import sys
from pathlib import Path

import nox

# nox imports this file by path, so tools/ has to be found from here.
sys.path.insert(0, str(Path(__file__).resolve().parent))

# Sessions run in the order of these imports: first what runs in the background, so that it overlaps
# with sessions that use one core.
from tools.sessions import preparation, zones  # noqa: F401, I001
from tools.sessions import checks, packages, member_tests, services, others, on_demand  # noqa: F401

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
# nox logs a tool that it looks for and does not need as if that were an error.
logging.getLogger("nox").addFilter(lambda record: "uv binary" not in str(record.msg))
