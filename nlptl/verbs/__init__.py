"""The verbs of the library, as `nlptl.api` offers them, and what a call or a command asks for as one configuration."""
