"""Memory is what this process may have of it."""

import os

import pytest

from senet_nas.data import room
from senet_nas.data.room import memory_bytes

MACHINES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def groups(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(room, "GROUPS", tmp_path)

    def written(own, limits):
        (tmp_path / "own").write_text(own)
        for name, limit in limits.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(limit)

    return written


@pytest.mark.parametrize(
    ("own", "limits", "least"),
    [
        ("0::/\n", {}, None),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": "4096\n"}, 4096),
        ("0::/job/step\n", {"job/step/memory.max": "max\n", "job/memory.max": "8192\n"}, 8192),
        ("4:cpu:/x\n3:hugetlb,memory:/x\n", {"memory/x/memory.limit_in_bytes": "99\n"}, 99),
        ("4:memory:/elsewhere\n", {"memory/memory.limit_in_bytes": f"{2**63}\n"}, None),
    ],
)
def test_limits_of_containers_and_jobs_count(groups, own, limits, least):
    groups(own, limits)
    assert memory_bytes() == (least or MACHINES)


def test_without_control_groups_it_is_the_machines(groups):
    assert memory_bytes() == MACHINES
