"""What is printed about the changes: each that survived, and a table of all."""

from collections import Counter

from tools.members import Member
from tools.mutants.targets import Place
from tools.mutants.worker import Outcome

GOAL = 0.95
"""Part of the changes that make a difference, of which tests have to notice at least this."""


class Report:
    """Counts outcomes by member, and prints what a person has to check."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: dict[str, Counter[str]] = {}

    def add(self, member: Member, place: Place, outcome: Outcome) -> None:
        """Count a change; print it unless a test failed.

        Changes after which a test no longer ends count as noticed, and are printed all the same.
        """
        self._counts.setdefault(member.name, Counter())[outcome.value] += 1
        if outcome is not Outcome.NOTICED:
            print(f"{outcome.value}: {place}", flush=True)

    def add_equivalent(self, member: Member, place: Place, reason: str) -> None:
        """Count a change that makes no difference, and print why."""
        self._counts.setdefault(member.name, Counter())["equivalent"] += 1
        print(f"equivalent: {place} ({reason})", flush=True)

    @property
    def is_good(self) -> bool:
        """Whether enough changes were noticed."""
        noticed, survived = self._figures(sum(self._counts.values(), Counter()))
        return noticed >= GOAL * (noticed + survived)

    def table(self) -> str:
        """Return the counts of each member and of all, as a table in Markdown."""
        rows = [f"seed {self._seed}", ""]
        rows += ["| member | sample | noticed | survived | equivalent | noticed, in percent |"]
        rows += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
        total = sum(self._counts.values(), Counter())
        for name, counts in (*self._counts.items(), ("all", total)):
            noticed, survived = self._figures(counts)
            percent = 100 * noticed / max(1, noticed + survived)
            rows.append(
                f"| {name} | {counts.total()} | {noticed} | {survived} | {counts['equivalent']} "
                f"| {percent:.1f} |"
            )
        return "\n".join(rows)

    @staticmethod
    def _figures(counts: Counter[str]) -> tuple[int, int]:
        noticed = counts[Outcome.NOTICED.value] + counts[Outcome.TIMED_OUT.value]
        return noticed, counts[Outcome.SURVIVED.value] + counts[Outcome.NOT_RUN.value]
