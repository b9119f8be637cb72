"""The set-up of a fresh checkout: system packages, then ``.venv``.

It runs on a bare Python before anything is installed, so it has the standard library alone,
and words that an older Python can parse too, to tell in a sentence that it is too old.
"""
