"""What cross/build is made of. Only Python's standard library, from 3.11 on."""
