"""Several processes that train one network, joined by torch as Ray joins them."""

import copy
import multiprocessing
import socket
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch import nn

from senet_nas.data import Reading
from senet_nas.training import seeded_network
from senet_nas.training.evaluate import evaluate_on
from senet_nas.training.group import ALONE, Group
from senet_nas.training.images import Images
from senet_nas.training.loop import train_on
from senet_nas.training.state import Observer

CPU = torch.device("cpu")
KEPT_AT = 3


class Kept(Observer):
    """Keeps the state after one step of the first epoch, and each epoch's loss."""

    def __init__(self):
        self.state, self.losses, self._step = None, [], 0

    def after_step(self, report):
        self._step = report.step if report.epoch == 1 else 0

    def after_epoch(self, report, state):
        self.losses.append(report.loss)

    def is_due(self):
        return self._step == KEPT_AT

    def keep(self, state):
        self.state = copy.deepcopy(state)


def trained(network, images, recipe, group=ALONE, state=None):
    """Losses, accuracy on the test images, the state within the first epoch, and the weights."""
    observer, network = Kept(), copy.deepcopy(network)
    batches = images.training(recipe, 0, None, CPU, group)
    train_on(network, batches, recipe, seed=0, state=state, observer=observer, group=group)
    test = images.test(recipe, batches, CPU, group)
    accuracy = evaluate_on(network, test, group=group)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return observer.losses, accuracy, observer.state, weights


def twice(group, network, images, recipe):
    """A training, and its rest from the state that it kept."""
    whole = trained(network, images, recipe, group)
    states = [whole[2]]  # the first process alone has it
    dist.broadcast_object_list(states)
    return whole, trained(network, images, recipe, group, states[0])


def one_of(group, address, path, call, arguments):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=address, rank=group.rank, world_size=group.size)
    torch.save(call(group, *arguments), path)
    dist.destroy_process_group()


def together(world, tmp_path, call, *arguments):
    """What a call gives in each of several processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"

    paths = [tmp_path / f"{rank}.pt" for rank in range(world)]
    # From a server, as autograd refuses a child of a process whose own threads it has started.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    processes = [
        context.Process(target=one_of, args=(Group(rank, world), address, path, call, arguments))
        for rank, path in enumerate(paths)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    return [torch.load(path, weights_only=False) for path in paths]


def without_norms():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(96, 2)
    )


@pytest.mark.parametrize("hold", ["memory", "stream"])
def test_three_processes_learn_what_one_does(data, recipe, tmp_path, hold):
    # 77 images in steps of 24 to 26 images, in threes: shares of a step differ by one.
    images = Images(data, None, 0.97, Reading(hold, 0))
    recipe = replace(recipe, batch_size=27, epochs=2)
    losses, accuracy, _, weights = trained(without_norms(), images, recipe)
    results = together(3, tmp_path, trained_in, without_norms(), images, recipe)
    assert results[0][0] == pytest.approx(losses, rel=1e-5)
    for _, found, _, shared in results:
        assert (found.top1, found.top5, found.count) == (accuracy.top1, accuracy.top5, 20)
        assert found.loss == pytest.approx(accuracy.loss, rel=1e-5)
        for name, tensor in weights.items():
            torch.testing.assert_close(shared[name], tensor, rtol=1e-4, atol=1e-6)
            assert torch.equal(shared[name], results[0][3][name])


def trained_in(group, *arguments):
    return trained(*arguments, group)


@pytest.mark.parametrize("hold", ["memory", "stream"])
def test_they_go_on_from_within_an_epoch_as_if_they_had_not_stopped(
    architecture, data, recipe, tmp_path, hold
):
    network = seeded_network(architecture, 2, 32, 0)  # with dropout: each draws for itself
    recipe = replace(recipe, batch_size=16, epochs=2, mixup=0.3, ema_decay=0.9)
    images = Images(data, reading=Reading(hold, 1))
    both = together(2, tmp_path, twice, network, images, recipe)
    whole, rest = both[0]
    assert whole[2].step == KEPT_AT and whole[2].rng["cpu"].shape[0] == 2
    assert not torch.equal(*whole[2].rng["cpu"])
    assert rest[0] == whole[0] and rest[1] == whole[1]
    for other in (rest, *both[1]):
        assert all(torch.equal(other[3][name], whole[3][name]) for name in whole[3])


def test_micro_batches_are_shared_once_a_step(data, recipe, tmp_path):
    images, recipe = Images(data), replace(recipe, batch_size=20, epochs=2)
    parted = replace(recipe, micro_batch=4)
    losses = trained(without_norms(), images, recipe)[0]
    (found, *_), _ = together(2, tmp_path, trained_in, without_norms(), images, parted)
    assert found == pytest.approx(losses, rel=1e-5)
