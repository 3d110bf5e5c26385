"""Run the sidecar: python -m kakuri_sidecar."""

from kakuri_sidecar._cli import main

main()
