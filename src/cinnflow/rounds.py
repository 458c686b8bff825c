"""How many rounds a study has: a fixed number, or as many as pay."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cinnflow.config import Simulations


@dataclass(frozen=True)
class Rounds:
    """The rounds of a study; where a rule stops them, each follows on what the round before has gained.

    Args:
        settings: the study's.
        fits: the folder of its fits, where it stands what each round has gained.
    """

    settings: Simulations
    fits: Path

    @property
    def known(self) -> list[str]:
        """Names of the rounds that are known to be wanted so far."""
        count = 0
        while count < self.settings.most_rounds and self.goes_on_after(count - 1):
            count += 1
        return [f"round-{number}" for number in range(count)]

    def decides(self, number: int) -> bool:
        """Whether the gain of a round decides on whether another one follows."""
        return self.settings.stop_below is not None and 0 < number < self.settings.most_rounds - 1

    def gain_path(self, number: int) -> Path:
        """The file of what such a round has gained."""
        return self.fits / f"round-{number}" / "gain.json"

    def goes_on_after(self, number: int) -> bool:
        """Whether another round follows, as far as it is known and their largest number allows."""
        if not self.decides(number):
            return True
        path = self.gain_path(number)
        return path.exists() and bool(json.loads(path.read_text())["another_round"])


def round_number(split: str) -> int:
    """The number of the round that a split is; 0 for one that is none."""
    return int(split.removeprefix("round-")) if split.startswith("round-") else 0
