"""What is said of a located mistake: the numbers at its place, and why they are what they are."""
