"""Small inputs that went wrong once, landed as they came; what is right stands in the tests."""
