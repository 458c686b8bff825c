"""Diagnostics of a posterior: each module computes a table from arrays, draws a figure from that table, and judges it.

Every module has `compute(...) -> table`, `plot(table) -> Figure` and, where a judgement is possible,
`verdict(table) -> table`, with the texts `TITLE` and `CAPTION` (how to read the figure). A table is all that its
figure and its verdict need, also after a round trip through CSV.
"""
