"""A node's directory: its configuration and how commands change it, where things lie in it, who lives there."""
