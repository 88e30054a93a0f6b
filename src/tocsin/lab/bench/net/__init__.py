"""What networks of many machines cost, beside peers on the same machine in the same run: `tocsin bench net`.

Three systems do their work with as many validators, a second's pause after each block, and loads of one kind:
Tocsin's own nodes; CometBFT with its built-in kvstore, at equal bytes; a Cosmos SDK application with x/group.
"""
