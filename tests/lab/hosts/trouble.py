class LabError(Exception):
    """What the lab cannot do here, in a sentence."""
