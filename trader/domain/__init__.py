"""The vocabulary: frozen records and closed sets. Imports nothing of the project but its errors."""
