"""`python -m trader` is the command `trader`."""

from trader.cli import main

main()
