"""The CPU kernels compute what the reference says, in float64, for every dtype and layout."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tails import LAYOUTS

from senet_nas.nn.fused import cpu
from senet_nas.nn.fused.primitives import ACTS, kernels_for, reference
from senet_nas.nn.fused.tail import normalise

# Of sums and values in float32; of what is stored in a narrower format, half of its last bit.
ERRORS = {torch.float32: 2e-6, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}

cases = st.fixed_dictionaries(
    {
        "images": st.integers(1, 5),
        "channels": st.sampled_from([1, 3, 8, 16, 24, 40, 65]),
        "height": st.integers(1, 13),
        "width": st.integers(1, 13),
        "dtype": st.sampled_from([torch.float32, torch.bfloat16]),
        "layout": st.sampled_from(sorted(LAYOUTS)),
        "act": st.sampled_from(sorted(ACTS)),
        "rows": st.sampled_from(["one", "each"]),
        "threads": st.sampled_from([1, 2]),
        "seed": st.integers(0, 99),
    }
)


def close(found, wanted, allowed, scale):
    assert found.shape == wanted.shape
    error = float((found.double() - wanted).abs().max())
    assert error <= allowed * scale, (error, allowed * scale)


def tensors(case):
    """Random arguments by name."""
    generator = torch.Generator().manual_seed(case["seed"])
    shape = case["images"], case["channels"], case["height"], case["width"]
    rows = 1 if case["rows"] == "one" else case["images"]

    def normal(*size, mean=0.0):
        return torch.randn(*size, generator=generator) + mean

    def large(mean=0.0):
        made = normal(*shape, mean=mean).to(case["dtype"])
        return made.contiguous(memory_format=LAYOUTS[case["layout"]])

    return {
        "x": large(3.0),
        "grad": large(),
        "shortcut": large(),
        "centre": normal(shape[1], mean=3.0),
        **{name: normal(rows, shape[1]) for name in ("scale", "shift", "a", "b")},
        "gate": torch.rand(*shape[:2], generator=generator),
        "pooled": normal(*shape[:2]),
    }


def calls(kernels, case, values):
    """All maps, in all forms: name to what they give."""
    v, act = values, case["act"]
    affine = v["x"], v["centre"], v["scale"], v["shift"]
    found = {
        "moments": kernels.moments(v["x"], v["centre"]),
        "squeeze": kernels.squeeze(*affine, act),
        "squeeze_grad": kernels.squeeze(*affine, act, v["grad"]),
    }
    for form, shortcut, gate, pooled in (
        ("plain", None, None, None),
        ("sum", v["shortcut"], None, None),
        ("gated", None, v["gate"], None),
        ("pooled", None, v["gate"], v["pooled"]),
    ):
        found[f"apply_{form}"] = kernels.apply(*affine, shortcut, act, gate)
        found[f"reduce_{form}"] = kernels.reduce(v["grad"], *affine, shortcut, act, gate, pooled)
        if shortcut is None:
            for kind, a, b in (("fixed", None, None), ("batch", v["a"], v["b"])):
                found[f"backward_{form}_{kind}"] = kernels.apply_backward(
                    v["grad"], *affine, act, a, b, gate, pooled
                )
    return {
        f"{name}_{number}": tensor
        for name, given_ in found.items()
        for number, tensor in enumerate(given_ if isinstance(given_, tuple) else (given_,))
    }


@settings(max_examples=60, deadline=None)
@given(case=cases)
def test_maps_equal_the_reference(case):
    values = tensors(case)
    kernels = kernels_for(values["x"])
    assert kernels is cpu.KERNELS
    before = torch.get_num_threads()
    torch.set_num_threads(case["threads"])
    try:
        found = calls(kernels, case, values)
    finally:
        torch.set_num_threads(before)
    wanted = calls(reference, case, {name: tensor.double() for name, tensor in values.items()})
    pixels = case["height"] * case["width"]
    for name, tensor in found.items():
        is_large = tensor.ndim == 4
        allowed = ERRORS[case["dtype"]] if is_large else ERRORS[torch.float32] * pixels
        # A derivative that jumps: a value beside the step may fall on either side.
        scale = float(wanted[name].abs().max()) + 10.0
        close(tensor, wanted[name], allowed, scale)
        if is_large:
            assert tensor.dtype is case["dtype"]
            assert tensor.stride() == values["x"].stride()


@pytest.mark.slow  # it may build the kernels
def test_half_precision_is_known_too():
    case = {"images": 2, "channels": 24, "height": 5, "width": 6, "dtype": torch.float16,
            "layout": "channels_last", "act": "silu", "rows": "each", "seed": 1}  # fmt: skip
    values = tensors(case)
    y = kernels_for(values["x"]).apply(
        *(values[name] for name in ("x", "centre", "scale", "shift", "shortcut")), "silu"
    )
    wanted = reference.apply(
        *(values[name].double() for name in ("x", "centre", "scale", "shift", "shortcut")), "silu"
    )
    close(y, wanted, ERRORS[torch.float16], float(wanted.abs().max()))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("act", ACTS)
def test_what_is_no_number_stays_so(layout, act):
    x = torch.ones(2, 17, 3, 3).contiguous(memory_format=LAYOUTS[layout])
    x[1, 4, 2, 1] = torch.nan
    one, zero = torch.ones(1, 17), torch.zeros(17)
    kernels = kernels_for(x)
    assert torch.equal(kernels.apply(x, zero, one, one, None, act).isnan(), x.isnan())
    for table in kernels.moments(x, zero):
        assert table.isnan().nonzero().tolist() == [[1, 4]]


def test_small_variance_beside_a_large_mean():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 5, 40, 40, generator=generator) + 1000.0
    centre = x[0, :, 0, 0].contiguous()
    first, second = (one.double().sum(0) for one in kernels_for(x).moments(x, centre))
    count = 8 * 40 * 40
    variance = second / count - (first / count) ** 2
    torch.testing.assert_close(variance, x.double().var((0, 2, 3), correction=0), rtol=1e-5, atol=0)


def test_tensors_that_would_be_misread_are_refused():
    x = torch.zeros(2, 4, 3, 3)
    kernels = kernels_for(x)
    table, centre = torch.ones(1, 4), torch.zeros(4)
    with pytest.raises(ValueError, match="layout"):
        kernels.apply(x, centre, table, table, x.mT, "relu")
    with pytest.raises(ValueError, match="float32"):
        kernels.apply(x, centre, table.double(), table, None, "relu")
    with pytest.raises(ValueError, match="2 x 4"):
        kernels.apply(x, centre, table[:, :2], table, None, "relu")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("act", "closed"), [("relu", -1.0), ("relu6", 7.0), ("hard_swish", -4.0)])
def test_no_infinite_gradient_passes_where_an_activation_is_closed(layout, act, closed):
    x = torch.full((2, 17, 3, 3), closed).contiguous(memory_format=LAYOUTS[layout])
    grad = torch.full_like(x, torch.inf)
    one, zero, none = torch.ones(1, 17), torch.zeros(1, 17), torch.zeros_like(x)
    kernels = kernels_for(x)
    for shortcut in (None, none):
        for found in kernels.reduce(grad, x, zero[0], one, zero, shortcut, act)[:2]:
            assert torch.equal(found, torch.zeros(2, 17))
    assert torch.equal(kernels.reduce(grad, x, zero[0], one, zero, none, act)[2], none)
    assert torch.equal(kernels.apply_backward(grad, x, zero[0], one, zero, act, zero, zero), none)
    assert torch.equal(reference.reduce(grad, x, zero[0], one, zero, none, act)[2], none)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_outlier_leaves_a_norm_exact(layout):
    """Wherever it is: also at a pixel that is looked at beforehand."""
    x = torch.randn(32, 5, 20, 20, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=LAYOUTS[layout])
    for image, pixel in ((0, 0), (15, 9), (16, 10), (31, 19)):
        outlying = x.clone(memory_format=torch.preserve_format)
        outlying[image, :, pixel, pixel] = 1e5
        norm, exactly = torch.nn.BatchNorm2d(5), torch.nn.BatchNorm2d(5).double()
        found = normalise(outlying, norm, kernels_for(x)).detach()
        close(found, exactly(outlying.double()).detach(), 1e-6, 100.0)
        close(norm.running_var, exactly.running_var, 1e-6, float(exactly.running_var.max()))
