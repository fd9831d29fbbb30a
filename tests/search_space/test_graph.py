"""The graph of an architecture, and the hash that says when two are the same network."""

from dataclasses import replace

import networkx
import pytest
from drawn import architectures
from hypothesis import given

from search_space import SE, Architecture, Block, Head, Stage, structural_hash, to_graph
from search_space.values import PLACEMENTS

NARROW, WIDE = Block("basic", 16), Block("basic", 32)


def network(*stages, head=Head()):  # noqa: B008
    return Architecture(Stage((Block("conv", 8),)), tuple(Stage(tuple(s)) for s in stages), head)


@given(architectures)
def test_a_graph_is_one_acyclic_way_from_input_to_head(architecture):
    graph = to_graph(architecture)
    assert networkx.is_directed_acyclic_graph(graph)
    blocks = [block for _, block in architecture.blocks()]
    assert len(graph) == 2 + len(blocks) + sum(block.se is not None for block in blocks)
    assert networkx.descendants(graph, "input") == set(graph) - {"input"}
    assert networkx.ancestors(graph, "head") == set(graph) - {"head"}


@given(architectures)
def test_division_into_stages_does_not_count(architecture):
    divided = tuple(Stage((block,)) for stage in architecture.stages for block in stage.blocks)
    assert structural_hash(replace(architecture, stages=divided)) == structural_hash(architecture)


def test_the_order_of_blocks_counts():
    one, other = network([NARROW, WIDE]), network([WIDE, NARROW])
    assert structural_hash(one) != structural_hash(other)


def test_placements_are_told_apart():
    gated = [network([replace(NARROW, se=SE(placement=p)), WIDE]) for p in PLACEMENTS]
    hashes = {structural_hash(architecture) for architecture in [*gated, network([NARROW, WIDE])]}
    assert len(hashes) == 1 + len(PLACEMENTS)


def test_which_block_is_gated_counts():
    one, other = ([replace(NARROW, se=SE()), NARROW], [NARROW, replace(NARROW, se=SE())])
    assert structural_hash(network(one)) != structural_hash(network(other))


def test_the_head_counts():
    assert structural_hash(network([NARROW])) != structural_hash(
        network([NARROW], head=Head((), 8))
    )


def test_equal_numbers_hash_equally():
    whole, real = (network([Block("basic", 16, expansion=x, se=SE(r=x))]) for x in (4, 4.0))
    assert structural_hash(whole) == structural_hash(real)


@pytest.mark.parametrize(
    ("placement", "edges"),
    [
        ("standard", [("a", "b"), ("b", "se"), ("se", "c")]),
        ("pre", [("a", "b"), ("a", "se"), ("se", "b"), ("b", "c")]),
        ("post", [("a", "b"), ("b", "se"), ("se", "c")]),
        ("identity", [("a", "b"), ("a", "se"), ("b", "c"), ("se", "c")]),
        ("conv3x3", [("a", "b"), ("b", "se"), ("se", "c")]),
    ],
)
def test_an_se_stands_where_its_placement_says(placement, edges):
    # A block's shortcut is inside its node: with pre, only the branch sees the gated input.
    graph = to_graph(network([replace(NARROW, se=SE(placement=placement)), WIDE]))
    path = {
        "a": "stem.blocks.0",
        "b": "stages.0.blocks.0",
        "se": "stages.0.blocks.0.se",
        "c": "stages.0.blocks.1",
    }
    inner = [edge for edge in graph.edges if set(edge) <= set(path.values())]
    assert set(inner) == {(path[start], path[end]) for start, end in edges}
