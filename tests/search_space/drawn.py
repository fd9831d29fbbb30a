"""What hypothesis draws: random search spaces with conditions, and random architectures."""

import numpy as np
from hypothesis import strategies as st

from search_space import SE, Architecture, Block, Decision, Head, SearchSpace, Stage
from search_space.values import ACTIVATIONS, BASES, EXCITATIONS, PLACEMENTS, SQUEEZES

OPTIONS = (None, False, True, "a", 3, 5, SE(), SE(r=4, placement="pre"))


@st.composite
def decisions(draw, conditional=True):
    made = []
    for position in range(draw(st.integers(1, 6))):
        options = draw(st.lists(st.sampled_from(OPTIONS), min_size=1, max_size=3, unique_by=repr))
        weights = draw(
            st.none()
            | st.lists(st.floats(0.01, 100), min_size=len(options), max_size=len(options)).map(
                tuple
            )
        )
        when = {}
        if conditional and made:
            for parent in draw(st.lists(st.sampled_from(made), max_size=2, unique_by=id)):
                allowed = st.sampled_from(parent.options)
                when[parent.name] = draw(st.lists(allowed, max_size=2, unique_by=repr))
        made.append(Decision(f"decision{position}", tuple(options), when, weights))
    return tuple(made)


def spaces(conditional=True):
    return decisions(conditional).map(lambda made: SearchSpace("drawn", made))


generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)

ses = st.builds(
    SE,
    r=st.integers(1, 64) | st.floats(1, 64),
    placement=st.sampled_from(PLACEMENTS),
    squeeze=st.sampled_from(SQUEEZES),
    excitation=st.sampled_from(EXCITATIONS),
    base=st.sampled_from(BASES),
    divisor=st.integers(1, 16),
    bias=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
)
scalars = (
    st.text(max_size=5)
    | st.integers()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
)
extras = st.dictionaries(st.sampled_from(["scale", "split", "Größe"]), scalars, max_size=3)
blocks = st.builds(
    Block,
    cell=st.sampled_from(["basic", "bottleneck", "inverted_residual"]),
    channels=st.integers(1, 2048),
    stride=st.integers(1, 2),
    kernel=st.sampled_from([1, 3, 5, 7]),
    expansion=st.integers(1, 8) | st.floats(0.01, 8),
    groups=st.integers(1, 64),
    activation=st.sampled_from(ACTIVATIONS),
    se=st.none() | ses,
    extra=extras.map(lambda extra: tuple(extra.items())),
)
block_rows = st.lists(blocks, max_size=2).map(tuple)
stages = block_rows.map(Stage)
heads = st.builds(
    Head,
    blocks=block_rows,
    hidden=st.integers(0, 1280),
    activation=st.sampled_from(ACTIVATIONS),
    dropout=st.floats(0, 0.99),
)
architectures = st.builds(
    Architecture, stem=stages, stages=st.lists(stages, max_size=2).map(tuple), head=heads
)
