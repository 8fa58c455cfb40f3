"""The app: runs the engine and draws its step events."""
