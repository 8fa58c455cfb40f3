"""Every English sentence of the app: one module a place, constants and dictionaries only.

A dictionary goes to the browser; ``{name}`` in it is replaced there by plain text. `step` holds
what is said of a step wherever its tree is drawn.
"""
