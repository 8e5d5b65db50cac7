"""What decision logs say afterwards: reading, proving, showing and summing them up. Nothing here decides anything."""
