"""Run the agent: python -m kakuri_agent."""

from kakuri_agent._cli import main

main()
