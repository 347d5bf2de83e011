"""The record of a submission and all rules of its life. Pure: no AWS, HTTP, clock or randomness."""
