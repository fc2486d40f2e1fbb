"""nlptl: transfer learning for text."""
