"""What a daemon keeps of its account over a crash, and who may write it: `StateDb`, `StateWriter`, `StateLock`."""
