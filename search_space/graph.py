"""An architecture as a networkx graph, and a hash of its structure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from search_space.blueprint import Blueprint
from search_space.retrofit import Retrofit
from search_space.values import NORM_EPS, Architecture, Block, block_to_data, se_to_data

if TYPE_CHECKING:
    import networkx


def to_graph(architecture: Architecture) -> networkx.DiGraph:
    """A directed acyclic graph with a node for each block, each SE block and the head.

    Every node has `label` (what it computes) and `block` (its path in the architecture). An SE
    stands beside its block as its placement says: before it, after it, or on the shortcut.
    """
    import networkx

    graph = networkx.DiGraph()
    graph.add_node("input", label="input", block="")
    ends = ["input"]
    for path, block in architecture.blocks():
        graph.add_node(path, label=_block_label(block), block=path)
        graph.add_edges_from((end, path) for end in ends)
        if block.se is None:
            ends = [path]
            continue
        gate = f"{path}.se"
        graph.add_node(gate, label=json.dumps(se_to_data(block.se)), block=path)
        if block.se.placement in ("pre", "identity"):
            graph.add_edges_from((end, gate) for end in ends)
        else:
            graph.add_edge(path, gate)
        if block.se.placement == "pre":
            graph.add_edge(gate, path)
            ends = [path]
        else:
            ends = [path, gate] if block.se.placement == "identity" else [gate]
    graph.add_node("head", label=_head_label(architecture), block="head")
    graph.add_edges_from((end, "head") for end in ends)
    return graph


# Settings at their default are left out of labels, so that a new setting doesn't change the hash
# of what was found before there was one.
def _block_label(block: Block) -> str:
    return json.dumps(block_to_data(replace(block, se=None)))


def _head_label(architecture: Architecture) -> str:
    head, eps = architecture.head, architecture.norm_eps
    text = (
        f"Head(blocks=(), hidden={head.hidden!r}, activation={head.activation!r}, "
        f"dropout={head.dropout!r})"
    )
    text += "" if head.hidden_bias else " hidden_bias=False"
    return text if eps == NORM_EPS else f"{text} norm_eps={eps}"


def structural_hash(architecture: Blueprint) -> str:
    """Sixteen hex digits, equal for architectures whose graphs are isomorphic, and for equal
    retrofits.

    Each node's hash is that of its label and of its predecessors' hashes (a Merkle tree over the
    directed acyclic graph), so names of nodes and division into stages don't count.
    """
    if isinstance(architecture, Retrofit):
        return hashlib.sha256(architecture.to_json().encode()).hexdigest()[:16]
    import networkx

    graph = to_graph(architecture)
    hashes: dict[str, str] = {}
    for node in networkx.topological_sort(graph):
        before = sorted(hashes[previous] for previous in graph.predecessors(node))
        text = repr((graph.nodes[node]["label"], before))
        hashes[node] = hashlib.sha256(text.encode()).hexdigest()
    return hashes["head"][:16]
