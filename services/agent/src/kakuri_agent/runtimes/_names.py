"""The names of the runtimes, as `--runtime` and the state directory have them."""

SIDECAR = "sidecar"
CRI = "cri"
SIMULATED = "simulated"

REAL_RUNTIMES = frozenset({SIDECAR, CRI})
"""Those that run real zones."""
