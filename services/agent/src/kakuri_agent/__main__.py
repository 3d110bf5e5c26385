"""The entry point of `kakuri-agent` and of `python -m kakuri_agent`."""

from kakuri_daemon import end_at_interrupt, import_loop_without_tls


def run() -> None:
    """Run the command with the arguments of the process, and exit."""
    end_at_interrupt()
    import_loop_without_tls()
    from kakuri_agent._cli import main  # noqa: PLC0415 (it imports the event loop)

    main()


if __name__ == "__main__":
    run()
