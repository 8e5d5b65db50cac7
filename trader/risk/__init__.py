"""The risk review, only maker of an approved intent, and the last gate before the broker. Pure; imports the domain."""
