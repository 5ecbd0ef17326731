"""The same calls against several deployments, by turns: which is faster, by how much, and what that is made of.

made = await compare([Side("near", one), Side("far", other)], Script.demo(2), rounds=20)
made.contrasts[0].first_word.total, made.contrasts[0].first_word.where
"""

from voicedeploy.comparing.comparison import Apart, Comparison, Contrast, Outcome
from voicedeploy.comparing.difference import Difference
from voicedeploy.comparing.pieces import Pieces
from voicedeploy.comparing.rounds import Progress, Side, compare
from voicedeploy.comparing.words import answer, verdict

__all__ = [
    "Apart",
    "Comparison",
    "Contrast",
    "Difference",
    "Outcome",
    "Pieces",
    "Progress",
    "Side",
    "answer",
    "compare",
    "verdict",
]
