"""The front that runs beside a bot on every target: HTTP, access, one process per call, drain."""
