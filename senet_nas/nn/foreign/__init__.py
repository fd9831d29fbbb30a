"""Other libraries' networks: where they come from, and what they are as architectures of ours."""
