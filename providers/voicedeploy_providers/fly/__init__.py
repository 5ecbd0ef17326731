"""Fly.io: generations of machines over the Machines API."""
