"""Put a Pipecat voice bot where strangers can talk to it, and prove by a call that it is heard."""


def __getattr__(name: str) -> str:
    # Reading a distribution's metadata takes longer than `voicedeploy --help` in all.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version

    return version("voicedeploy")
