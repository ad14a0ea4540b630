"""Tests of what cross/build makes; cross/test runs them."""
