"""Do what a manifest says: votes, bounds and attacks for each example without a record; and repeat them."""
