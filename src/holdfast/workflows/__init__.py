"""What Python and the command line share: one file a job, from objects to results."""
