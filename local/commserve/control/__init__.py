"""What steers the simulator: from a test in the same process, or over HTTP from another one."""
