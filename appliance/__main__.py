"""`python -m appliance` is the console command."""

from appliance.cli import main

main()
