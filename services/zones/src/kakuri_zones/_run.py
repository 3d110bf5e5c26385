"""Deciding which objects of a zone one run of it can use."""

from collections.abc import Collection
from dataclasses import dataclass

from kakuri_cri.api import ContainerState
from kakuri_workload import ZoneSpec

from kakuri_zones import _labels as labels
from kakuri_zones._errors import ZoneConflict
from kakuri_zones._observed import Container, ObservedZone, Sandbox


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """One attempt to run a spec.

    Every attempt of a spec can use the same sandbox; a container belongs to one attempt.

    Attributes:
        zone_id: The zone.
        attempt: The number of the attempt, from 0.
        spec_hash: Identifies the spec, whatever the attempt; see `_labels.spec_hash`.
    """

    zone_id: str
    attempt: int
    spec_hash: str

    @classmethod
    def of(cls, spec: ZoneSpec) -> "RunIdentity":
        """Return the run that a spec describes."""
        return cls(spec.id, spec.attempt, labels.spec_hash(spec))

    def was_started(self, observed: ObservedZone) -> bool:
        """Return whether the container of this run was started already.

        Raises:
            ZoneConflict: Another spec or a later attempt has the zone's id, or an earlier attempt
                still runs.
        """
        container = observed.container
        if container is not None and self.attempt < container.attempt:
            got = f"attempt {self.attempt}"
            raise ZoneConflict(f"expected at least attempt {container.attempt}, got {got}")
        if container is None or not container.was_started:
            return False
        if container.spec_hash != self.spec_hash:
            raise ZoneConflict(f"zone {self.zone_id!r} exists with another spec")
        if self.attempt == container.attempt:
            return True
        if container.state == ContainerState.CONTAINER_RUNNING and not observed.is_lost:
            raise ZoneConflict(f"attempt {container.attempt} of {self.zone_id!r} still runs")
        return False

    def without_leftovers(self, observed: ObservedZone) -> ObservedZone:
        """Return a zone without the unstarted objects of other specs and attempts.

        Containers that were started are kept, with their sandboxes: they are earlier attempts.
        """
        containers = tuple(
            each for each in observed.containers if each.was_started or self.can_start(each)
        )
        used = {each.sandbox_id for each in containers}
        sandboxes = tuple(
            each for each in observed.sandboxes if each.id in used or self.can_use(each)
        )
        return ObservedZone(observed.id, sandboxes, containers)

    def can_use(self, sandbox: Sandbox) -> bool:
        """Return whether a sandbox is ready and was created for this spec, in any attempt."""
        return sandbox.is_ready and sandbox.spec_hash == self.spec_hash

    def can_start(self, container: Container) -> bool:
        """Return whether a container was created for this run and was never started."""
        is_of_run = (container.spec_hash, container.attempt) == (self.spec_hash, self.attempt)
        return is_of_run and container.state == ContainerState.CONTAINER_CREATED

    def usable_sandbox(
        self, observed: ObservedZone | None, known: Collection[Sandbox] = ()
    ) -> Sandbox | None:
        """Return the latest sandbox that this run can use, except those that are known."""
        known_ids = {each.id for each in known}
        sandboxes = observed.sandboxes if observed is not None else ()
        usable = [each for each in sandboxes if self.can_use(each) and each.id not in known_ids]
        return max(usable, key=lambda each: each.cri_attempt, default=None)

    def startable_container(
        self, observed: ObservedZone | None, sandbox: Sandbox
    ) -> Container | None:
        """Return the latest container in a sandbox that this run can start."""
        containers = observed.containers if observed is not None else ()
        startable = [
            each for each in containers if each.sandbox_id == sandbox.id and self.can_start(each)
        ]
        return max(startable, key=lambda each: each.cri_attempt, default=None)
