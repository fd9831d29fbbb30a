"""The Triton programs compute what the reference says: on a GPU, or in Triton's interpreter, which
has to be asked for before Triton is first imported: `test_fused_triton.py` runs these."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tails import LAYOUTS
from test_fused_kernels import ERRORS, calls, close, tensors

from senet_nas.nn.fused import triton_kernels
from senet_nas.nn.fused.primitives import ACTS, reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

cases = st.fixed_dictionaries(
    {
        "images": st.integers(1, 4),
        "channels": st.sampled_from([1, 3, 8, 24, 65, 130]),
        "height": st.integers(1, 9),
        "width": st.integers(1, 9),
        "dtype": st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
        "layout": st.sampled_from(sorted(LAYOUTS)),
        "act": st.sampled_from(sorted(ACTS)),
        "rows": st.sampled_from(["one", "each"]),
        "seed": st.integers(0, 99),
    }
)


def compared(case):
    values = tensors(case)
    found = calls(triton_kernels.KERNELS, case, {k: v.to(DEVICE) for k, v in values.items()})
    wanted = calls(reference, case, {name: tensor.double() for name, tensor in values.items()})
    pixels = case["height"] * case["width"]
    for name, tensor in found.items():
        is_large = tensor.ndim == 4
        allowed = ERRORS[case["dtype"]] if is_large else ERRORS[torch.float32] * pixels
        close(tensor.cpu(), wanted[name], allowed, float(wanted[name].abs().max()) + 10.0)
        if is_large:
            assert tensor.dtype is case["dtype"]
            assert tensor.stride() == values["x"].stride()


@settings(max_examples=5 if DEVICE == "cpu" else 60, deadline=None)
@given(case=cases)
def test_maps_equal_the_reference(case):
    compared(case)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_maps_in_several_parts(layout, monkeypatch):
    """Few images with many pixels: each sum is taken in parts, of which the last is shorter."""
    monkeypatch.setattr(triton_kernels, "TILE", 64)
    case = {"images": 2, "channels": 20, "height": 9, "width": 13, "dtype": torch.float32,
            "layout": layout, "act": "silu", "rows": "each", "seed": 3}  # fmt: skip
    grid, _ = triton_kernels._Layout(tensors(case)["x"]).rows()
    assert grid[1] > 1
    compared(case)


@pytest.mark.parametrize("act", ["relu", "hard_swish"])
def test_what_is_no_number_stays_so(act):
    x = torch.ones(2, 17, 3, 3, device=DEVICE)
    x[1, 4, 2, 1] = torch.nan
    one, zero = torch.ones(1, 17, device=DEVICE), torch.zeros(17, device=DEVICE)
    kernels = triton_kernels.KERNELS
    assert torch.equal(kernels.apply(x, zero, one, one, None, act).isnan(), x.isnan())
    for table in kernels.moments(x, zero):
        assert table.isnan().nonzero().tolist() == [[1, 4]]


def test_sums_are_the_same_each_time():
    case = {"images": 3, "channels": 40, "height": 9, "width": 9, "dtype": torch.bfloat16,
            "layout": "channels_last", "act": "relu", "rows": "each", "seed": 5}  # fmt: skip
    values = {name: tensor.to(DEVICE) for name, tensor in tensors(case).items()}
    first, second = (calls(triton_kernels.KERNELS, case, values) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("default", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("channels", [3, 40])
def test_batch_norms_few_values(channels, apart, default):
    """Scale, shift, running statistics, and the gradients, as in plain torch in float64; whatever
    torch's default dtype is, and also of weights that lie apart in memory."""
    generator = torch.Generator().manual_seed(channels)
    images, count = 70, 70 * 9

    def drawn(*size):
        return torch.randn(*size, generator=generator)

    norms = [torch.nn.BatchNorm2d(channels, device=DEVICE) for _ in range(2)]
    if apart:
        for norm in norms:
            norm.weight = torch.nn.Parameter(torch.linspace(0.5, 1, 2 * channels)[::2].to(DEVICE))
    norms[1].double()
    first, second = drawn(images, channels), 9 + drawn(images, channels).abs()
    centre, of_scale, of_shift = drawn(channels), drawn(channels), drawn(channels)
    found = []
    for norm, kernels in zip(norms, (triton_kernels.KERNELS, reference), strict=True):
        dtype = norm.weight.dtype
        values = [t.to(DEVICE, dtype) for t in (first, second, centre, of_scale, of_shift)]
        torch.set_default_dtype(default)
        try:
            with torch.no_grad():
                made = kernels.affine(*values[:2], norm, values[2], count, 0.1)
                back = kernels.affine_backward(*values[3:], made[2], made[3], norm.weight, count)
        finally:
            torch.set_default_dtype(torch.float32)
        found.append([*made, *back, norm.running_mean, norm.running_var])
    for one, two in zip(*found, strict=True):
        close(one.cpu(), two.cpu(), 1e-5, float(two.abs().max()))


@pytest.mark.parametrize(("act", "closed"), [("relu", -1.0), ("relu6", 7.0), ("hard_swish", -4.0)])
def test_no_infinite_gradient_passes_where_an_activation_is_closed(act, closed):
    x = torch.full((2, 3, 2, 2), closed, device=DEVICE)
    grad = torch.full_like(x, torch.inf)
    one, zero, none = x.new_ones(1, 3), x.new_zeros(1, 3), torch.zeros_like(x)
    kernels = triton_kernels.KERNELS
    for found in kernels.reduce(grad, x, zero[0], one, zero, None, act)[:2]:
        assert not found.any()
    assert torch.equal(kernels.apply_backward(grad, x, zero[0], one, zero, act, None, None), none)
