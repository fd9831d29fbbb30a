"""A network as a Python file: its modules, and what every such file opens with."""
