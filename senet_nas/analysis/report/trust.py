"""What a supernet's scores were held against: `trust.json`, and the networks behind it."""

from __future__ import annotations

import json
from typing import Any

from search_space import InputError
from senet_nas.analysis.supernet_trust import TRUST_FILE, ranked_objective, scored_twice
from senet_nas.search import RunFolder

MOST_BYTES = 1_000_000  # of such a file; a page shows no more


def trust(folder: RunFolder) -> dict[str, Any] | None:
    """`data`: what trust.json holds; `measured`: the score that is compared; `points`: for `all`
    and `se` (`scored_twice`) a row a network of that score in the supernet and alone, and of its
    MACs. `fault` in their place where it can't be shown; None where there is no such file."""
    path = folder.path / TRUST_FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST_BYTES:
            return {"fault": f"larger than {MOST_BYTES // 1_000_000} MB"}
        data = json.loads(path.read_text(encoding="utf-8"))
        measured = ranked_objective(folder.objectives())
        points = {
            kind: [
                [shared[measured], alone[measured], alone.get("macs")] for shared, alone in pairs
            ]
            for kind, pairs in scored_twice(folder).items()
        }
    except (OSError, ValueError, KeyError, InputError) as error:
        return {"fault": f"can't be read: {error}"}
    return {"data": data, "measured": measured, "points": points}
