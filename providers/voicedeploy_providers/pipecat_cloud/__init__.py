"""Pipecat Cloud: managed agents, one for each call."""
