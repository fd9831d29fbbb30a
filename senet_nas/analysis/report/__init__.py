"""A run as one HTML page that needs nothing else: `write_report`."""

from senet_nas.analysis.report.page_file import write_report

__all__ = ["write_report"]
