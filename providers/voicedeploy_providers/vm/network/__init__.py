"""Who can reach a host's UDP ports: seen from the host, tried from here, and what follows for callers."""
