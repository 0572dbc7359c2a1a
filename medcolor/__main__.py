"""`python -m medcolor` is `medcolor`."""

from medcolor.cli import main

main()
