"""What the checks of all real observations say together, of which some fail by chance where there are many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cinnflow.diagnostics.verdicts import DOUBTFUL, FAIL, FALSE_ALARMS, PASS, UNINFORMATIVE

COUNTED = ("predictive", "prior_predictive", "misspecification")
"""Checks of an observation whose verdicts count for the study's."""


class ObservationChecks:
    """The verdicts on a study's observations.

    Each check fails a right posterior in FALSE_ALARMS of all observations, so that one of many often does: a failure
    that is not beyond chance among all of them makes the study doubtful, as in the summary of the other checks.

    Args:
        observations: each with its name and checks, which have a name, a word (the verdict) and verdicts (rows).
    """

    def __init__(self, observations: Sequence[Mapping[str, Any]]) -> None:
        counted = {
            (observation["name"], check["name"]): check
            for observation in observations
            for check in observation["checks"]
            if check["name"] in COUNTED and check["verdicts"]
        }
        self.tested = len(counted)
        self.words = {of: check["word"] for of, check in counted.items()}
        p_values = {of: check["verdicts"][0]["p_value"] for of, check in counted.items()}
        self.by_chance = [of for of, value in p_values.items() if value <= FALSE_ALARMS < value * self.tested]
        self.words |= dict.fromkeys(self.by_chance, DOUBTFUL)
        """The verdict of each check that counts, by the names of observation and check."""

    def sentences(self) -> list[str]:
        """What they say, in a sentence each."""
        found = []
        if unlike := self._named("misspecification", FAIL):
            found.append(f"The model simulates nothing like {unlike}: the posterior there is an extrapolation.")
        if partly := self._named("misspecification", DOUBTFUL):
            found.append(
                f"A data set of {partly} is further off than chance makes one: its posterior may be an extrapolation."
            )
        if unexpected := self._named("prior_predictive", DOUBTFUL):
            found.append(f"The prior does not expect {unexpected}.")
        if unfit := self._named("predictive", FAIL):
            found.append(f"Simulations from the posterior do not look like {unfit}.")
        elif (fit := self._named("predictive", PASS)) and not unlike:
            found.append(f"Simulations from the posterior look like {fit}.")
        if untold := ", ".join(filter(None, [self._named("predictive", word) for word in (DOUBTFUL, UNINFORMATIVE)])):
            found.append(f"There are too few simulations from the posterior to compare with {untold}.")
        if self.by_chance:
            of = ", ".join(f"{check.replace('_', ' ')} of {name}" for name, check in self.by_chance)
            fail = "fails" if len(self.by_chance) == 1 else "fail"
            found.append(
                f"Of {self.tested} checks of observations, {len(self.by_chance)} {fail} ({of}), no more clearly than "
                "chance explains. More simulations to compare with (posterior.predictive, simulations.test) would tell."
            )
        return found

    def _named(self, check: str, word: str) -> str:
        return ", ".join(
            name
            for (name, its), its_word in self.words.items()
            if (its, its_word) == (check, word) and (name, its) not in self.by_chance
        )
