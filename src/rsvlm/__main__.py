"""`python -m rsvlm`."""

from rsvlm.cli import main

main()
