"""``python -m ta_lab2``: the same as the command ``ta-lab2``."""

from ta_lab2.cli import main

main()
