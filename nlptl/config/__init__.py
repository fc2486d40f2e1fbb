"""What a run is told to do: settings as asked and as resolved, and the ways to give them."""
