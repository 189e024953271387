"""What people see in a terminal: text, tables and bars, for the command line and for jobs that Python calls."""
