"""The process of the command `kakuri-agent`, also started by `python -m kakuri_agent`."""

from kakuri_daemon import import_loop_without_tls


def run() -> None:
    """Run the command with the arguments of this process, and end the process."""
    import_loop_without_tls()
    from kakuri_agent._cli import main  # noqa: PLC0415 (it imports the event loop)

    main()


if __name__ == "__main__":
    run()
