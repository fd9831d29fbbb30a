import os
from pathlib import Path

import pytest

from search_space import InputError
from senet_nas.data import locked, write_atomically


@pytest.fixture
def calls(monkeypatch):
    """What is brought to the disk, and renamed, in order."""
    seen = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor):
        seen.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))
        sync(descriptor)

    def replace(self, target):
        seen.append(("rename", self))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return seen


def test_content_is_on_disk_before_the_name_and_the_name_before_the_return(tmp_path, calls):
    write_atomically(tmp_path / "x", lambda temporary: temporary.write_text("new"))
    (first, temporary), (second, renamed), (third, folder) = calls
    assert (first, second, third) == ("sync", "rename", "sync")
    assert temporary == renamed and folder == tmp_path
    assert (tmp_path / "x").read_text() == "new"


def test_what_need_not_last_is_not_waited_for(tmp_path, calls):
    write_atomically(tmp_path / "x", lambda file: file.write_text("new"), durable=False)
    assert [kind for kind, _ in calls] == ["rename"]


def test_a_failed_write_leaves_what_was_there(tmp_path):
    (tmp_path / "x").write_text("old")

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "x", fail)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("x", "old")]


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    with (
        locked(tmp_path, "taken"),
        pytest.raises(InputError, match=r"^taken$"),
        locked(tmp_path, "taken"),
    ):
        pytest.fail("held twice")
    with locked(tmp_path, "taken"):
        pass


def test_a_folder_that_is_not_there_cannot_be_held(tmp_path):
    with (
        pytest.raises(InputError, match=r"nowhere/\.lock: No such file"),
        locked(tmp_path / "nowhere", "taken"),
    ):
        pass
