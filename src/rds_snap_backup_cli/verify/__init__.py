"""`verify`: proves on AWS what no emulator can. docs/verify-on-aws.md describes the stack that it needs."""
