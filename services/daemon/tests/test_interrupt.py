import signal
import subprocess
import sys

PROGRAM = """
import os, signal
from kakuri_daemon import end_at_interrupt
end_at_interrupt()
os.kill(os.getpid(), signal.SIGINT)
"""


def test_interrupt_ends_the_process_without_a_traceback():
    # A shell that starts the tests in the background ignores SIGINT in them.
    command = ["env", "--default-signal=INT", sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_interrupt_that_is_ignored_stays_ignored():
    command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
