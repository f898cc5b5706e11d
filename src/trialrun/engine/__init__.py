"""The one loop: Source, decide, conduct."""
