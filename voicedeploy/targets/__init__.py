"""Every target that is known: what packets it carries, its limits, and the dated evidence for both.

The facts are rows of `voicedeploy/data/targets.toml`. What follows from a row is decided by
`voicedeploy.network`, nowhere else.
"""

from voicedeploy.targets.explain import COLUMNS, Explanation, explain, headline, table, to_json
from voicedeploy.targets.page import page
from voicedeploy.targets.refusal import Refusal, refusal
from voicedeploy.targets.row import Evidence, Target, find, load, offer, verdicts, works

__all__ = [
    "COLUMNS",
    "Evidence",
    "Explanation",
    "Refusal",
    "Target",
    "explain",
    "find",
    "headline",
    "load",
    "offer",
    "page",
    "refusal",
    "table",
    "to_json",
    "verdicts",
    "works",
]
