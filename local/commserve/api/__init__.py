"""The endpoints: each does what a request asks for and returns the proper answer."""
