"""Where the workers of a job run: as processes of this machine, or as actors of a Ray cluster."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mmgen.errors import Missing, UnknownChoice
from mmgen.values import check_number, check_whole

if TYPE_CHECKING:
    from pipelines.ray_engine import Cluster

MOST_WORKERS = 64
_ENGINES = ("local", "ray")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What was typed about it."""

    workers: int = 1
    name: str = "local"
    address: str | None = None
    """Of a running cluster; None: one is started here."""
    gpus: float = 0.0
    """For each worker."""
    store_url: str | None = None
    """Where actors write to, as fsspec names it; None: the job's folder."""

    def cluster(self) -> Cluster | None:
        """The Ray cluster that is meant, None for processes of this machine.

        Checks all that can be checked before anything starts; raises `OutOfRange`,
        `UnknownChoice`, `Missing` and `RayUnguarded`.
        """
        from pipelines.ray_engine import Cluster, check_guarded

        check_whole("workers", self.workers, 1, MOST_WORKERS)
        check_number("gpus", self.gpus, 0, MOST_WORKERS)
        if self.name not in _ENGINES:
            raise UnknownChoice(name="engine", got=self.name, allowed=", ".join(_ENGINES))
        if self.name == "ray":
            check_guarded(self.address)
            return Cluster(address=self.address, gpus=self.gpus, output=self.store_url)
        if self.address or self.gpus or self.store_url:
            advice = "--address, --gpus and --store-url go with it"
            raise Missing(name="--engine ray", advice=advice)
        return None
