"""Lines that a process appends, where a file system can't do all that a disk does."""

import errno
import json
import os
from pathlib import Path

from senet_nas.export.writing import written_together
from senet_nas.search.json_lines import append_line, read_lines


def test_a_file_system_that_cannot_sync_folders_still_takes_files(tmp_path, monkeypatch):
    """As some that are shared over a network, where runs of a cluster lie."""
    real = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for number in range(2):
        append_line(tmp_path / "trials.jsonl", f"[{number}]\n")
    assert read_lines(tmp_path / "trials.jsonl", json.loads) == [[0], [1]]
    written_together(tmp_path / "net.onnx", lambda temporary: temporary.write_text("network"))
    assert (tmp_path / "net.onnx").read_text() == "network"
