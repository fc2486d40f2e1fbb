"""How a run answers texts that somebody wrote to deceive it."""
