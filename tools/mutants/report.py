"""The report on the changes: each one that survived, and a table of all."""

from collections import Counter

from tools.members import Member
from tools.mutants.targets import Place
from tools.mutants.worker import Outcome

GOAL = 0.95
"""The fraction of non-equivalent changes that the tests have to kill."""


class Report:
    """Counts outcomes by member, and prints the changes that a person has to check."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._counts: dict[str, Counter[str]] = {}

    def add(self, member: Member, place: Place, outcome: Outcome) -> None:
        """Count a change; print it unless a test failed.

        A change that makes a test hang counts as killed, but is printed as well.
        """
        self._counts.setdefault(member.name, Counter())[outcome.value] += 1
        if outcome is not Outcome.KILLED:
            print(f"{outcome.value}: {place}", flush=True)

    def add_equivalent(self, member: Member, place: Place, reason: str) -> None:
        """Count an equivalent change, and print the reason."""
        self._counts.setdefault(member.name, Counter())["equivalent"] += 1
        print(f"equivalent: {place} ({reason})", flush=True)

    @property
    def is_good(self) -> bool:
        """Whether the tests killed enough changes."""
        killed, survived = self._figures(sum(self._counts.values(), Counter()))
        return killed >= GOAL * (killed + survived)

    def table(self) -> str:
        """Return the counts of each member and of all, as a table in Markdown."""
        rows = [f"seed {self._seed}", ""]
        rows += ["| member | sample | killed | survived | equivalent | killed, in percent |"]
        rows += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
        total = sum(self._counts.values(), Counter())
        for name, counts in (*self._counts.items(), ("all", total)):
            killed, survived = self._figures(counts)
            percent = 100 * killed / max(1, killed + survived)
            rows.append(
                f"| {name} | {counts.total()} | {killed} | {survived} | {counts['equivalent']} "
                f"| {percent:.1f} |"
            )
        return "\n".join(rows)

    @staticmethod
    def _figures(counts: Counter[str]) -> tuple[int, int]:
        killed = counts[Outcome.KILLED.value] + counts[Outcome.TIMED_OUT.value]
        return killed, counts[Outcome.SURVIVED.value] + counts[Outcome.NOT_RUN.value]
