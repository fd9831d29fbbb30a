"""`python -m senet_nas.cli`."""

from senet_nas.cli import main

main()
