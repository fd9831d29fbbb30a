"""Stochastic depth, dropout, frozen norms, averages of weights, mixed images, losses."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from timm.data.mixup import Mixup
from timm.loss import BinaryCrossEntropy
from timm.utils import ModelEmaV3

from search_space import published
from senet_nas.nn import build_network
from senet_nas.training import Recipe, seeded_network, train
from senet_nas.training.averaging import make_average
from senet_nas.training.losses import make_loss, make_mixing
from senet_nas.training.regularisation import (
    classifier_dropout,
    frozen_norms,
    residual_units,
    stochastic_depth,
)

RECIPE = Recipe(2, 32, 0.1, precision="fp32")


@pytest.fixture
def network():
    return seeded_network(published("se_cifar_resnet20"), 10, 32, 0)


IMAGES = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_stochastic_depth_leaves_out_branches_of_images_and_changes_no_name(network):
    units = residual_units(network)
    assert len(units) == 9
    before, names = network.eval()(IMAGES), list(network.state_dict())
    x = torch.randn(64, 16, 8, 8)
    first, last = units[0], units[2]
    for unit in units:
        unit.training = True  # not its norms, whose statistics would move
    plain = first(x)
    with stochastic_depth(network, 0.5):
        assert torch.equal(first(x), plain)  # the first unit is never thinned
        assert list(network.state_dict()) == names
        torch.manual_seed(1)
        shortcut, branch = torch.zeros(64, 4), torch.ones(64, 4)
        rates = []
        for unit in units:
            rows = torch.cat([unit.together(shortcut, branch) for _ in range(40)])
            assert {tuple(row.unique().tolist()) for row in rows} <= {(0.0,), (rows.max().item(),)}
            rates.append(float((rows == 0).all(1).float().mean()))
        assert torch.equal(network.eval()(IMAGES), before)  # off in evaluation
    assert rates == pytest.approx([0.5 * i / 8 for i in range(9)], abs=0.04)
    assert "together" not in vars(last)


def test_dropout_replaces_the_networks_own():
    network = build_network(published("mobilenet_v3_small"), 10)
    own = [m for m in network.modules() if isinstance(m, torch.nn.Dropout)]
    seen = []
    network.classifier[-1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    rate = own[0].p
    assert rate > 0
    with classifier_dropout(network, 0.75):
        assert own[0].p == 0
        network.train()(IMAGES)
    assert float((seen[0] == 0).float().mean()) == pytest.approx(0.75, abs=0.06)
    assert own[0].p == rate
    network(IMAGES)
    assert float((seen[1] == 0).float().mean()) < 0.5


def test_without_them_a_training_is_the_same_and_with_them_another(architecture, train_images):
    images = train_images.subset(range(64))

    def loss(recipe):
        network = seeded_network(architecture, 10, 32, 0)
        losses = []
        train(network, images, recipe, seed=0, on_epoch=lambda r, _: losses.append(r.loss))
        return losses

    plain = loss(RECIPE)
    assert loss(replace(RECIPE, dropout=0.5)) != plain
    assert loss(replace(RECIPE, ema_decay=0.9)) == plain
    assert loss(replace(RECIPE, frozen_norm_epochs=1))[0] == plain[0]
    assert loss(replace(RECIPE, frozen_norm_epochs=1))[1] != plain[1]
    assert loss(replace(RECIPE, clip_norm=0.01)) != plain


def test_frozen_norms_keep_their_statistics(network):
    network.train()
    mean = network.stem[0].head[1].running_mean.clone()
    with frozen_norms(network):
        network(IMAGES)
        assert torch.equal(network.stem[0].head[1].running_mean, mean)
    network(IMAGES)
    assert not torch.equal(network.stem[0].head[1].running_mean, mean)


def test_an_average_is_timms_and_begins_as_a_plain_mean(network):
    recipe = replace(RECIPE, ema_decay=0.9, ema_every=2)
    average = make_average(network, recipe)
    theirs = ModelEmaV3(network, decay=0.9)
    values = []
    for step in range(1, 401):
        with torch.no_grad():
            network.classifier[-1].bias.fill_(float(step))
        average.update(network, step)
        if step % 2 == 0:
            theirs.update(network)
        values.append(float(average.weights()["classifier.0.bias"][0]))
    assert values[1] == values[2] == 2.0  # the first update copies, the third step updates nothing
    late = float(theirs.module.classifier[-1].bias[0].detach())
    assert values[-1] == pytest.approx(late, abs=1e-3) and values[-1] < 390
    other = make_average(network, recipe)
    other.restore(average.weights())
    assert torch.equal(other.weights()["classifier.0.bias"], average.weights()["classifier.0.bias"])


def test_micro_batches_add_up_to_the_whole_batch(train_images):
    # Without norms, which see the parts.
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(900, 10)
    )
    images = train_images.subset(range(66))
    curves, sizes = [], []
    for parts in (0, 10):
        losses, seen = [], set()
        copied = torch.nn.Sequential(*map(_copy, network))
        copied.register_forward_pre_hook(lambda _, given, seen=seen: seen.add(len(given[0])))
        recipe = Recipe(3, 33, 0.01, micro_batch=parts, precision="fp32")
        train(
            copied,
            images,
            recipe,
            seed=0,
            on_epoch=lambda r, _, losses=losses: losses.append(r.loss),
        )
        curves.append(losses)
        sizes.append(seen)
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)
    assert sizes == [{33}, {8, 9}]  # parts of at most 10, alike


def _copy(module):
    import copy

    return copy.deepcopy(module)


def test_losses_are_torchs_and_timms():
    logits, labels = torch.randn(8, 5), torch.arange(8) % 5
    smooth = make_loss(replace(RECIPE, label_smoothing=0.1))
    assert smooth(logits, labels) == F.cross_entropy(logits, labels, label_smoothing=0.1)
    shares = F.one_hot(labels, 5).float()
    assert smooth(logits, shares) == pytest.approx(float(smooth(logits, labels)))
    bce = make_loss(replace(RECIPE, loss="bce", label_smoothing=0.1))
    assert bce(logits, labels) == pytest.approx(float(BinaryCrossEntropy(0.1)(logits, labels)))
    hard = make_loss(replace(RECIPE, loss="bce", target_threshold=0.2))
    mixed = 0.7 * shares + 0.3 * shares.roll(1, 0)
    expected = BinaryCrossEntropy(0.0, target_threshold=0.2)(logits, mixed)
    assert hard(logits, mixed) == pytest.approx(float(expected))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_agrees_with_timms_in_what_it_promises(kind):
    images, labels = torch.rand(7, 3, 8, 8), torch.arange(7)
    mix = make_mixing(replace(RECIPE, **{kind: 1.0}), 7)
    torch.manual_seed(3)
    mixed, shares = mix(images, labels)
    assert shares.sum(1) == pytest.approx(1.0)
    own = shares[torch.arange(7), labels]
    partner = images.roll(1, 0)
    if kind == "mixup":
        assert torch.allclose(mixed, own[0] * images + (1 - own[0]) * partner, atol=1e-6)
        theirs = Mixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=7)
        _, target = theirs(images[:6].clone(), labels[:6])
        assert target.sum(1) == pytest.approx(1.0) and (target > 0).sum(1).max() == 2
    else:  # the share of classes is that of pixels
        kept = (mixed == images).all(1).float().mean((1, 2))
        assert kept.tolist() == pytest.approx(own.tolist(), abs=1e-6)
    assert make_mixing(RECIPE, 7) is None
