"""Where a mistake is: what is missing, the places that could hold it, and the repair that mends what follows."""
