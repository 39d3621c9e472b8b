"""Side-by-side ratios, one command each."""
