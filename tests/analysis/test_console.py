"""Tables on standard output: what a user named stands there as it is."""

import pytest

from senet_nas.analysis.show import print_values


@pytest.mark.parametrize("name", ["net[v2].onnx", "a[/b]c", "a:bug:b"])
def test_a_name_is_not_taken_for_markup(name, capsys):
    print_values(name, {"path": name})
    assert capsys.readouterr().out.count(name) == 2
