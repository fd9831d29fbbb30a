import lzma
import tarfile

from layouts import write_tar

from senet_nas.data import SAMPLE
from senet_nas.data.sample import make


def test_the_sample_is_small_and_without_owners_and_times():
    assert SAMPLE.stat().st_size < 6_000_000
    with tarfile.open(SAMPLE) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.isreg()) for entry in entries} == {(0, 0, True)}


def test_making_it_is_deterministic_and_copies_members_byte_for_byte(
    members, tmp_path, monkeypatch
):
    monkeypatch.setattr(make, "TRAIN_PER_CLASS", 5)
    monkeypatch.setattr(make, "TEST_PER_CLASS", 2)
    shuffled = dict(sorted(members.items(), reverse=True))
    for name, files in (("a", members), ("b", shuffled)):
        make.make(write_tar(tmp_path / f"{name}.tar", files), tmp_path / f"{name}.tar.xz")
    first, second = ((tmp_path / f"{name}.tar.xz").read_bytes() for name in "ab")
    assert first == second
    with tarfile.open(fileobj=lzma.open(tmp_path / "a.tar.xz")) as archive:
        kept = {entry.name: archive.extractfile(entry).read() for entry in archive}
    assert len(kept) == 14
    assert all(members[name] == content for name, content in kept.items())
