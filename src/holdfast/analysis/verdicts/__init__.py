"""What verification says of a run or an attack: the verdict, how far the check went, what it leaves open."""
