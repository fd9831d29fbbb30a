"""The one door to Ray Train: several processes that train one network, on one machine or many.

Ray starts the processes, joins them in torch's process group (NCCL on GPUs, gloo on CPUs), and
replaces them all when one dies; they go on from the state in the job's folder. Ray's own
checkpoints aren't used: the folder is the record of a training, however many processes it has.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before ray is imported. Paths of the user's may be relative; the log is ours.
os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_TRAIN_METRICS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_PRINT_PATCH", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING", "0")
os.environ.setdefault("RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING", "0")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "600")

import ray
import ray.train
import ray.train.torch

from search_space.errors import InputError, RunError
from senet_nas.training.keeper import Begin, Kept
from senet_nas.training.ray_cluster import cluster_address, on_ray
from senet_nas.training.relay import Relay, relayed
from senet_nas.training.state import EpochReport, NonFiniteLossError, StepReport

FRUITLESS_TRIES = 3
_FAILURE_FILE = ".failure.json"
_RAY_FOLDER = ".ray"
_ERRORS: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (InputError, NonFiniteLossError, RunError)
}


def train_together(
    job: Kept,
    begin: Begin,
    workers: int,
    gpus_per_worker: float,
    on_epoch: Callable[[EpochReport], object] | None = None,
    on_step: Callable[[StepReport], object] | None = None,
) -> None:
    """Run a job in so many processes, to its result in the job's folder. begin: what each of
    them begins with.

    Uses Ray where this process has started it, the cluster at RAY_ADDRESS where that is set, and
    else starts Ray on this machine. A failure is followed by another try, until three in a row have
    kept no further state. Raises `InputError` where there isn't room for the workers, and
    for what a worker finds wrong, and `RunError` where workers die without getting on.
    """
    (job.out / _FAILURE_FILE).unlink(missing_ok=True)
    if cluster_address() is None:
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    with on_ray(), relayed(job.out, on_epoch, on_step):
        cpus = _cpus_per_worker(workers, gpus_per_worker)
        trainer = ray.train.torch.TorchTrainer(
            _work,
            train_loop_config={"job": job, "begin": begin},
            torch_config=ray.train.torch.TorchConfig(timeout_s=600),
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers,
                use_gpu=gpus_per_worker > 0,
                resources_per_worker={"CPU": cpus}
                | ({"GPU": gpus_per_worker} if gpus_per_worker else {}),
            ),
            run_config=ray.train.RunConfig(
                name="train",
                storage_path=str((job.out / _RAY_FOLDER).absolute()),
                failure_config=ray.train.FailureConfig(max_failures=0),
            ),
        )
        try:
            _fit(trainer, job.out)
        finally:
            shutil.rmtree(job.out / _RAY_FOLDER, ignore_errors=True)


def _fit(trainer: Any, out: Path) -> None:
    """Run a trainer, again where workers died, until several tries in a row have got nowhere."""
    fruitless = 0
    while True:
        before = _position(out)
        error = _in_a_thread(trainer.fit)
        _raise_failure(out)
        if error is None:
            return
        if not isinstance(error, ray.train.TrainingFailedError):
            raise error
        fruitless = fruitless + 1 if _position(out) == before else 0
        if fruitless == FRUITLESS_TRIES:
            last = str(error).strip().splitlines()[-1]
            raise RunError(
                f"workers failed {fruitless} times in a row before they kept any progress: {last}"
            )


def _in_a_thread(call: Callable[[], object]) -> BaseException | None:
    """Run a call aside, so that Ctrl-C reaches us: in the main thread Ray takes it for itself."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
    return errors[0] if errors else None


def _position(out: Path) -> int | None:
    """Changes whenever a state is kept."""
    from senet_nas.training.run_state import STATE_FILE

    try:
        return (out / STATE_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _raise_failure(out: Path) -> None:
    """Raise what a worker left for us, which trying again would not mend."""
    path = out / _FAILURE_FILE
    if path.exists():
        told = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        raise _ERRORS[told["kind"]](told["message"])


def _work(config: dict[str, Any]) -> None:
    """What each worker runs."""
    import torch

    from senet_nas.data import write_atomically
    from senet_nas.training.group import Group
    from senet_nas.training.keeper import Keeper

    job: Kept = config["job"]
    begin: Begin = config["begin"]
    context = ray.train.get_context()
    group = Group(context.get_world_rank(), context.get_world_size())
    device = ray.train.torch.get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        with _writing(job.out) if group.is_first else _reading():
            prepared = begin(job, device, group)
            relay = Relay(job.out) if group.is_first else None
            keeper = None
            if relay is not None:
                keeper = Keeper(job, prepared.identity, relay.after_epoch, relay.after_step)
            prepared.work(keeper)
    except tuple(_ERRORS.values()) as error:
        text = json.dumps({"kind": type(error).__name__, "message": str(error)})
        write_atomically(job.out / _FAILURE_FILE, lambda path: path.write_text(text, "utf-8"))
        raise


@contextmanager
def _reading() -> Iterator[None]:
    yield


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Hold the folder: a worker whose driver was killed may live a moment longer than that."""
    import fcntl

    with (out / ".worker.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _cpus_per_worker(workers: int, gpus: float) -> int:
    """The CPUs that each of so many workers can have. Raises `InputError` for too many workers."""
    there = ray.cluster_resources()
    for kind, asked in (("CPU", workers), ("GPU", workers * gpus)):
        if asked > there.get(kind, 0.0):
            raise InputError(
                f"{workers} workers need {asked:g} {kind}s, and there are {there.get(kind, 0.0):g}"
            )
    if not gpus:
        return max(1, int(there["CPU"]) // workers)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    shares = [
        int(node.get("CPU", 0) // (node["GPU"] // gpus))
        for node in nodes
        if node.get("GPU", 0.0) >= gpus
    ]
    return max(1, min(shares, default=1))
