"""Run the control plane: python -m kakuri_control_plane."""

from kakuri_control_plane._cli import main

main()
