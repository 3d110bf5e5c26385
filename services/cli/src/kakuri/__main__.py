"""`python -m kakuri`, which is the command `kakuri`."""

from kakuri._main import main

main()
