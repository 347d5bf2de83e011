"""The Follow function: a submitted job in, its end out."""
