import copy
import time
from dataclasses import replace

import pytest
import torch
from torch import nn

from search_space import InputError
from senet_nas.data import normalise
from senet_nas.data.order import batch_slices
from senet_nas.training import (
    DeadlineError,
    NonFiniteLossError,
    evaluate,
    seeded_network,
    train,
)
from senet_nas.training.optimiser import make_optimiser


def run(architecture, images, recipe, seed=0, state=None, stop_after=None, network=None):
    network = network or seeded_network(architecture, 10, 32, seed)
    reports = []

    def on_epoch(report, _):
        reports.append(report)
        return report.epoch == stop_after

    end = train(network, images, recipe, seed=seed, state=state, on_epoch=on_epoch)
    return network, copy.deepcopy(end), [report.loss for report in reports]


def equal(first, second):
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


def test_training_learns_real_images(architecture, train_images, test_images, recipe):
    longer = replace(recipe, epochs=5, cutout=0, warmup_epochs=1)
    network, _, losses = run(architecture, train_images, longer)
    mean, std = train_images.mean(), train_images.std()
    assert losses[-1] < losses[0] - 0.2
    assert evaluate(network, test_images, mean=mean, std=std).top1 > 22  # by chance: 10


def test_bfloat16_learns_as_float32_does(architecture, train_images, recipe):
    # Stale copies of the weights, or a wrong gradient, would part the two curves at once.
    recipe = replace(recipe, epochs=4)
    _, _, exact = run(architecture, train_images, recipe)
    _, _, rounded = run(architecture, train_images, replace(recipe, precision="bf16"))
    assert rounded == pytest.approx(exact, abs=0.05) and exact[-1] < exact[0] - 0.2


def test_a_seed_fixes_the_run(architecture, train_images, recipe):
    recipe = replace(recipe, epochs=1)
    (first, _, a), (again, _, b), (_, _, c) = (
        run(architecture, train_images, recipe, seed) for seed in (1, 1, 2)
    )
    assert a == b and equal(first, again) and a != c


def test_the_callers_random_state_is_left_alone(architecture, train_images, recipe):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(architecture, train_images.subset(range(64)), replace(recipe, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_resumed_equals_uninterrupted(architecture, train_images, recipe):
    whole, _, curve = run(architecture, train_images, recipe)
    _, state, start = run(architecture, train_images, recipe, stop_after=1)
    other = seeded_network(architecture, 10, 32, seed=77)  # its weights must not matter
    resumed, _, rest = run(architecture, train_images, recipe, state=state, network=other)
    assert start + rest == curve and len(rest) == 2
    assert equal(whole, resumed)


def test_momentum_is_part_of_the_state(architecture, train_images, recipe):
    _, _, curve = run(architecture, train_images, recipe)
    _, state, start = run(architecture, train_images, recipe, stop_after=1)
    _, _, rest = run(architecture, train_images, recipe, state=replace(state, momentum={}))
    assert start + rest != curve


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_not_finite_stops_training(architecture, train_images, recipe, precision):
    network = seeded_network(architecture, 10, 32, 0)
    with torch.no_grad():
        network.classifier[-1].weight[0, 0] = float("inf")
    with pytest.raises(NonFiniteLossError, match="in epoch 1"):
        train(network, train_images, replace(recipe, precision=precision), seed=0)


def test_a_deadline_stops_training(architecture, train_images, recipe):
    network = seeded_network(architecture, 10, 32, 0)
    with pytest.raises(DeadlineError):
        train(network, train_images, recipe, seed=0, deadline=time.monotonic() - 1)


def test_too_few_images_and_unknown_devices(architecture, train_images, recipe):
    network = seeded_network(architecture, 10, 32, 0)
    with pytest.raises(InputError, match="at least 2 images"):
        train(network, train_images.subset([0]), recipe, seed=0)
    with pytest.raises(InputError, match="device 'gpu' cannot be used"):
        train(network, train_images, recipe, seed=0, device="gpu")


@pytest.mark.parametrize("seed", [-1, 10**20, 1.5, True])
def test_seeds_out_of_range(architecture, train_images, recipe, seed):
    network = seeded_network(architecture, 10, 32, 2**63 - 1)
    with pytest.raises(InputError, match=r"seed must be between 0 and 2\*\*63-1, not"):
        train(network, train_images, recipe, seed=seed)
    with pytest.raises(InputError, match="seed must be between"):
        seeded_network(architecture, 10, 32, seed)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_no_step_searches_the_network_for_layers(
    architecture, train_images, recipe, precision, monkeypatch
):
    network = seeded_network(architecture, 10, 32, 0)
    walks, modules = [], nn.Module.modules
    monkeypatch.setattr(nn.Module, "modules", lambda self: walks.append(self) or modules(self))
    images = train_images.subset(range(64))
    counts = []
    for batch_size in (64, 4):
        walks.clear()
        brief = replace(recipe, epochs=2, batch_size=batch_size, precision=precision)
        train(network, images, brief, seed=0)
        counts.append(len(walks))
    assert counts[0] == counts[1] <= 2


@pytest.mark.parametrize(("count", "size"), [(100, 32), (64, 32), (33, 32), (5, 32), (4001, 64)])
def test_batches_hold_each_image_once_and_are_of_like_size(count, size):
    parts = batch_slices(count, size)
    assert [i for part in parts for i in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= size and max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-count // size)


def test_norms_and_biases_do_not_decay(architecture, recipe):
    network = seeded_network(architecture, 10, 32, 0)
    decayed = {
        id(parameter)
        for group in make_optimiser(network, recipe).param_groups
        if group["weight_decay"]
        for parameter in group["params"]
    }
    layers = (nn.Conv2d, nn.Linear)
    weights = {id(m.weight) for m in network.modules() if isinstance(m, layers)}
    assert decayed == weights


@pytest.mark.parametrize("batch_size", [7, 500])
def test_evaluation_agrees_with_a_plain_loop(architecture, test_images, batch_size):
    images = test_images.subset(range(0, 1000, 10))
    network = seeded_network(architecture, 10, 32, 0).train()
    mean, std = (0.5, 0.5, 0.4), (0.2, 0.3, 0.2)
    accuracy = evaluate(network, images, mean=mean, std=std, batch_size=batch_size)
    assert network.training
    network.eval()
    top1, top5, losses = 0, 0, []
    for pixels, label in zip(images.pixels, images.labels.tolist(), strict=True):
        with torch.no_grad():
            batch = normalise(pixels[None], torch.tensor(mean), torch.tensor(std))
            logits = network(batch)[0].double()
        rank = int((logits > logits[label]).sum())
        top1, top5 = top1 + (rank < 1), top5 + (rank < 5)
        losses.append(float(logits.logsumexp(0) - logits[label]))
    assert (accuracy.top1, accuracy.top5, accuracy.count) == (top1, top5, 100)
    assert accuracy.loss == pytest.approx(sum(losses) / 100, abs=1e-5)


def test_evaluation_leaves_norms_frozen(architecture, test_images):
    network = seeded_network(architecture, 10, 32, 0).train()
    frozen = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d)).eval()
    before = [module.training for module in network.modules()]
    evaluate(network, test_images.subset(range(4)), mean=(0.5,) * 3, std=(0.2,) * 3)
    assert [module.training for module in network.modules()] == before
    assert not frozen.training


def test_evaluation_of_nothing_and_of_a_broken_network(architecture, test_images):
    network = seeded_network(architecture, 10, 32, 0)
    about = {"mean": (0.5,) * 3, "std": (0.2,) * 3}
    with pytest.raises(InputError, match="no images"):
        evaluate(network, test_images.subset([]), **about)
    with torch.no_grad():
        network.classifier[-1].bias[0] = float("nan")
    with pytest.raises(NonFiniteLossError):
        evaluate(network, test_images, **about)
