from tests.e2e.conftest import agent, control_plane, start, url

__all__ = ["agent", "control_plane", "start", "url"]
