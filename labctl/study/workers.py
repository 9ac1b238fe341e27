"""Who does the work of a study: processes on this machine, or a Dask cluster.

Both are handed jobs and give back rows in whatever order they come; on processors of one kind no
number depends on which of them did it. A worker never writes: what it gives back is written down by
the one process that asked.

Local workers are new interpreters (not forks of a process with threads and open files), with one
thread for matrices each, which leave Ctrl-C to the one that asked and end when that one is gone,
however it went. Whoever is asked to stop does so at once: what it was working on has no row yet, and
is done again when the study goes on.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeAlias

from labctl.errors import BoardGone, Outputs, Unavailable
from labctl.study.chips import Job, Lost, work
from labctl.study.rows import Row

AHEAD = 3
"""Jobs a worker that are handed out beforehand."""
LOOK_SECONDS = 0.2
"""[s] from one look whether to stop to the next."""
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


Stop: TypeAlias = Callable[[], bool]
"""Asked again and again: whether to stop."""
Results: TypeAlias = Generator[tuple[Job, list[Row | Lost]]]


class Workers(Protocol):
    """Whoever turns jobs into rows."""

    name: str
    """For the record: "2 processes"."""

    def results(self, jobs: Iterable[Job], stop: Stop) -> Results:
        """The rows of every job, in any order, until `stop` says yes; jobs are taken as they are needed.

        It is to be closed, also where it was not asked for all of them: then nobody works any more.
        """
        ...


class Here:
    """No other process: this one. For one worker, for boards that are there, and for tests."""

    name = "1 process"

    def results(self, jobs: Iterable[Job], stop: Stop) -> Results:
        for job in jobs:
            for chip in job.chips:
                if stop():
                    return
                one = replace(job, chips=(chip,))
                yield one, work(one)


class Processes:
    """Processes on this machine. Entered around the work; made when the first job is asked for."""

    def __init__(self, count: int) -> None:
        self.name = f"{count} processes"
        self._count = count

    def results(self, jobs: Iterable[Job], stop: Stop) -> Results:
        from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
        from multiprocessing import active_children, get_context

        others, finished = set(active_children()), False
        with _environment(dict.fromkeys(_ONE_THREAD, "1")):
            pool = ProcessPoolExecutor(self._count, get_context("spawn"), initializer=_settle_in)
            try:
                yield from _in_turn(pool.submit, jobs, AHEAD * self._count, stop)
                finished = not stop()
            except BrokenProcessPool as error:
                if not stop():  # a signal that was for all of us
                    raise BoardGone(
                        "a worker of the study was killed",
                        outputs=Outputs.OFF,
                        todo="see to memory and to whoever kills processes, then `labctl resume` goes on",
                    ) from error
            finally:
                for worker in set(active_children()) - others if not finished else ():
                    worker.kill()  # it may hang, and its chip is done again
                pool.shutdown(wait=True, cancel_futures=True)


class Cluster:
    """A Dask cluster, by the address of its scheduler; its workers need this labctl installed."""

    def __init__(self, address: str) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ModuleNotFoundError as error:
            raise Unavailable(
                f"a cluster needs the package distributed, which is not installed ({error.name})",
                todo="install the extra `cluster`: pip install 'labctl[cluster]'",
            ) from error
        try:
            self._client: Any = distributed.Client(address, timeout="10s")
        except (OSError, ValueError) as error:
            raise Unavailable(
                f"no Dask scheduler answers at {address}: {error}",
                allowed='an address such as "tcp://10.0.0.5:8786"',
                todo="start one with `dask scheduler`, and workers with `dask worker ADDRESS`",
            ) from error
        self._killed: type[Exception] = distributed.KilledWorker
        self._count = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
        self.name = f"Dask, {self._count} workers at {address}"

    def results(self, jobs: Iterable[Job], stop: Stop) -> Results:
        def submit(function: Callable[[Job], list[Row | Lost]], job: Job) -> Any:
            return self._client.submit(function, job, pure=False)

        try:
            yield from _in_turn(submit, jobs, AHEAD * self._count, stop)
        except (CancelledError, self._killed) as error:
            raise BoardGone(
                f"the cluster gave up a job: {str(error).partition(chr(10))[0]}",
                outputs=Outputs.OFF,
                todo="see to its scheduler and to its workers' memory, then `labctl resume` goes on",
            ) from error
        finally:
            self._client.close()


def _in_turn(submit: Callable[..., Any], jobs: Iterable[Job], ahead: int, stop: Stop) -> Results:
    """Hand out so many jobs beforehand, and another for each that comes back."""
    coming, back, waiting = iter(jobs), SimpleQueue[tuple[Job, Any]](), 0
    while not stop():
        while waiting < ahead and (job := next(coming, None)) is not None:
            submit(work, job).add_done_callback(partial(_put, back, job))
            waiting += 1
        if not waiting:
            return
        try:
            job, future = back.get(timeout=LOOK_SECONDS)
        except Empty:
            continue
        waiting -= 1
        yield job, future.result()


def _put(back: SimpleQueue[tuple[Job, Any]], job: Job, future: Any) -> None:
    back.put((job, future))


def _settle_in() -> None:
    """What a worker does first: leave signals of the terminal to its parent, and end when that does."""
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _environment(changes: dict[str, str]) -> Generator[None]:
    """For processes that are started inside."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
