"""Running a search: the run file, the run folder, evaluating a candidate, and Ray Tune."""

from senet_nas.search.run_file import RunFile, load_run_file
from senet_nas.search.run_folder import RunFolder, TrialRecord
from senet_nas.search.running import Running, resume, search

__all__ = [
    "RunFile",
    "RunFolder",
    "Running",
    "TrialRecord",
    "load_run_file",
    "resume",
    "search",
]
