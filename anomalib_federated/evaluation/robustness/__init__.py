"""How well a federation holds when some of its sites are bad: attacks, defences, and what both cost.

For evaluation only. Nothing but this package, which the command ``attack`` runs, loads plugins of the kind ``attack``,
and no configuration of a real federation takes one.
"""
