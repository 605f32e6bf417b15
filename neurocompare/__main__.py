"""``python -m neurocompare``."""

from neurocompare.cli import main

main()
